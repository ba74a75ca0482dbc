//! What readiness may know of the polls without calling anything.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proxy_core::error::{BackendError, ErrorKind};
use tokio::{sync::watch, time::Instant};

/// How the last polls of a queue went.
#[derive(Debug, Default)]
pub struct PollHealth {
    state: Mutex<State>,
    probes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    succeeded: Option<Instant>,
    failing: Option<(ErrorKind, Box<str>)>,
}

impl PollHealth {
    /// Whether the last poll succeeded, and within `longest`; `None` before the first has ended.
    pub(super) fn check(&self, longest: Duration) -> Option<Result<(), BackendError>> {
        let state = self.lock();
        if let Some((kind, message)) = &state.failing {
            return Some(Err(BackendError::new(*kind, "check", message.clone())));
        }
        let age = state.succeeded?.elapsed();
        Some(if age <= longest {
            Ok(())
        } else {
            let message = format!("the last poll that succeeded was {} s ago", age.as_secs());
            Err(BackendError::new(ErrorKind::Unavailable, "check", message))
        })
    }

    /// Whether the last poll failed because the queue is not there.
    pub fn is_queue_missing(&self) -> bool {
        self.lock().failing.as_ref().is_some_and(|(kind, _)| *kind == ErrorKind::Config)
    }

    /// How many messages of this instance to itself have come by the way that answers take.
    pub fn probes(&self) -> watch::Receiver<u64> {
        self.probes.subscribe()
    }

    pub(crate) fn probed(&self) {
        self.probes.send_modify(|probes| *probes += 1);
    }

    /// Says whether this is the first success after failures, or ever.
    pub(super) fn succeeded(&self) -> bool {
        let mut state = self.lock();
        let recovered = state.failing.take().is_some();
        state.succeeded = Some(Instant::now());
        recovered
    }

    /// Says whether this is the first failure after a success, or of another kind.
    pub(super) fn failed(&self, error: &BackendError) -> bool {
        let mut state = self.lock();
        let new = state.failing.as_ref().is_none_or(|(kind, _)| *kind != error.kind());
        state.failing = Some((error.kind(), error.to_string().into()));
        new
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
