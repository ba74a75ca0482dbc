//! Messages over the limit of SQS, by way of an emulator's S3: both ends, and others'.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs must be there")]

mod failing;
mod harness;
mod operator;
mod others;
mod reading;
mod round_trip;
