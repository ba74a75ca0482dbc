//! The checklist of what MCP demands of a server over stdio, item by item, end to end: pipes in front, a scripted server behind.
//! Each test of an item has its number in its name.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

mod ending;
mod framing;
mod harness;
mod relay;
mod sessions;
