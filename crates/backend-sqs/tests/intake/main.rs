//! The SQS intake against the in-process emulator: what is its own, beside the contract.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs must be there")]

mod fleet;
mod harness;
mod operator;
mod policy;
mod replies;
mod settling;
mod start;
