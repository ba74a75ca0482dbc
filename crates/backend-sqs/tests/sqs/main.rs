//! The SQS backend against the in-process emulator.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs must be there")]

mod attributes;
mod doctor;
mod economy;
mod fifo;
mod harness;
mod owner;
mod per_session;
mod policy;
mod polling;
mod provision;
mod reaping;
mod sending;
mod shutdown;
mod start;
