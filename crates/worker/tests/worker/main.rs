//! The worker over a memory intake, with a scripted server behind it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

mod at_most_once;
mod bench;
mod edges;
mod fleet;
mod left_behind;
mod sessions;
mod shutdown;
mod streams;
mod telemetry;
