//! How long and how often everything is measured.

use std::time::Duration;

/// The sizes of a run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// How often the proxy and the bare echo take turns.
    pub(crate) rounds: usize,
    /// The same of longer ways, of which there are more.
    pub(crate) rounds_of_ways: usize,
    /// How long calls are made before they count.
    pub(crate) warm_up: Duration,
    /// How long calls count, each time.
    pub(crate) duration: Duration,
    /// Numbers of idle sessions, ascending.
    pub(crate) idle_sessions: Vec<usize>,
    /// How many sessions have an open GET stream each, if there may be so many open files.
    pub(crate) streams: usize,
    /// How long nobody calls before the lone call.
    pub(crate) idle: Duration,
}

impl Plan {
    pub(crate) fn full() -> Self {
        Self {
            rounds: 5,
            rounds_of_ways: 3,
            warm_up: Duration::from_millis(500),
            duration: Duration::from_secs(2),
            idle_sessions: vec![1_000, 10_000],
            streams: 1_000,
            // Longer than a long poll of 20 s, and than the pause of 5 s that others make after one.
            idle: Duration::from_secs(25),
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            rounds: 2,
            rounds_of_ways: 1,
            warm_up: Duration::from_millis(200),
            duration: Duration::from_millis(700),
            idle_sessions: vec![1_000],
            streams: 200,
            idle: Duration::from_secs(3),
        }
    }
}
