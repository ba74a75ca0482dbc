//! The worker's ends of both transports over real sockets, with a desk and clients that do what a test says.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs must be there")]

mod contract;
mod desk;
#[cfg(feature = "streamable-http-webhook")]
mod hybrid;
#[cfg(all(feature = "webhook", feature = "streamable-http-webhook"))]
mod peers;
mod receiver;
#[cfg(feature = "webhook")]
mod webhook;
