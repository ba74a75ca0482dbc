//! Exponential backoff, as every backend does it.

pub use proxy_core::{Backoff, jittered};
