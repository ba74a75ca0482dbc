#![doc = include_str!("../README.md")]
//!
//! To read it: `serve` (the loop), `connection` (what a message does), then `lines` and `writer` (the pipes).

mod connection;
mod lines;
mod outline;
mod rejection;
mod serve;
mod writer;

pub use serve::{ServeError, Stdio};
