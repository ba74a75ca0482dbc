//! The SQS backend against the in-process emulator.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs must be there")]

mod attributes;
mod economy;
mod fifo;
mod harness;
mod per_session;
mod polling;
mod reaping;
mod sending;
mod shutdown;
mod start;
