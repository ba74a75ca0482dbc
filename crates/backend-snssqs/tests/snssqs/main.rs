//! The SNS+SQS backend against the in-process emulator.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs must be there")]

mod created;
mod doctor;
mod harness;
mod intake;
mod messages;
mod owner;
mod policy;
mod provision;
mod reaping;
mod sending;
mod start;
