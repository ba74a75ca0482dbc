//! Child servers, as real processes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

mod ending;
mod harness;
mod in_process;
mod limits;
mod messages;
mod proxy;
mod starting;
mod watchdog;
