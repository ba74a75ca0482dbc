//! The StreamableHTTP+webhook backend between a scripted server and an inbox that does what it is told.
#![cfg(feature = "streamable-http-webhook")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod answers;
mod callbacks;
mod connections;
mod ending;
mod harness;
mod hostile;
mod operator;
mod refusals;
mod resuming;
mod server;
mod standalone;
mod tls;
