//! The MCP server that the worker is tested around: an ordinary one, written with rmcp, over stdio or plain Streamable HTTP.
//!
//! ```text
//! fixture-server [--ledger FILE]                 over stdio
//! fixture-server [--ledger FILE] --http 127.0.0.1:0   over HTTP; prints its URL and then `ready` on stdout
//! ```
//!
//! It offers what the official conformance suite wants, and what the end-to-end tests need: the same tools as the Python fixture
//! (`tests/fixtures/features.py`), and some that misbehave as a child process can.
#![expect(clippy::print_stdout, reason = "a program that says where it listens")]

mod asking;
mod conformance_tools;
mod contents;
mod http;
mod own_tools;
mod prompts;
mod resources;
mod server;
mod tools;

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Result;
use clap::Parser;
use rmcp::{ServiceExt as _, transport::stdio};

use crate::server::Fixture;

/// What it is started with.
#[derive(Debug, Parser)]
struct Options {
    /// Serve Streamable HTTP here instead of stdio; port 0 for a free one.
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Where the tool `record` writes a line for each time that it runs.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(address) = options.http {
        return http::serve(address, options.ledger).await;
    }
    Fixture::new(options.ledger).serve(stdio()).await?.waiting().await?;
    Ok(())
}
