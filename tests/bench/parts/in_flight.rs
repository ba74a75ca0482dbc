//! What a bare loop is asked, and what it says to that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::requests::Kind;

/// To keep calls in flight for a while. Answered with [`Done`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) in_flight: usize,
    pub(crate) kind: Kind,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The answers that count, and those of the warm-up.
    pub(crate) made: u64,
    pub(crate) per_second: f64,
}
