#![doc = include_str!("../README.md")]
//!
//! To read it: `serve` (the loop), `connection` (what a message does), then `writer` (the output; the input is `proxy_core::lines`).

mod connection;
mod rejection;
mod serve;
mod writer;

pub use serve::{ServeError, Stdio};
