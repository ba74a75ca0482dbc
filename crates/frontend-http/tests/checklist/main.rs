//! The checklist of what MCP demands of a server over Streamable HTTP, item by item, end to end: HTTP in front, a scripted far
//! end behind. Each test has the number of its item in its name.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

mod admin;
mod auth;
mod far_end;
mod framing;
mod guards;
mod harness;
mod http;
mod limits;
mod relay;
mod resuming;
mod serving;
mod sessions;
mod stateless;
mod streams;
mod versions;
