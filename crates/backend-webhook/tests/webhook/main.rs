//! The webhook backend against a scripted server.

#![cfg(feature = "webhook")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs must be there")]

mod callbacks;
mod connecting;
mod harness;
mod operator;
mod sending;
mod stopping;
