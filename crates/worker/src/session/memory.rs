//! What a session remembers of requests that are over, or have not come yet.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use proxy_core::{intake::Settled, message::RequestId};
use tokio::{sync::oneshot, time::Instant};

/// How long a cancellation waits for the request that it overtook.
const CANCELLATION_HOLDS: Duration = Duration::from_mins(3);

/// The most cancellations that wait.
const MAX_CANCELLATIONS: usize = 64;

/// The most requests that are remembered after their end.
const MAX_ENDED: usize = 128;

/// The requests of one session.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Those that have not ended, and who hears what became of them: each delivery.
    running: HashMap<RequestId, Vec<oneshot::Sender<Settled>>>,
    /// Those that ended lately.
    ended: VecDeque<RequestId>,
    /// Those that were cancelled before they came.
    cancelled: VecDeque<(RequestId, Instant)>,
}

impl Requests {
    /// Adds a delivery of a request that runs; gives it back for one that does not.
    pub(super) fn join(
        &mut self,
        id: &RequestId,
        settle: oneshot::Sender<Settled>,
    ) -> Result<(), oneshot::Sender<Settled>> {
        match self.running.get_mut(id) {
            Some(waiting) => {
                waiting.push(settle);
                Ok(())
            }
            None => Err(settle),
        }
    }

    /// A request runs from now on.
    pub(super) fn begin(&mut self, id: RequestId, settle: oneshot::Sender<Settled>) {
        self.running.insert(id, vec![settle]);
    }

    /// A request has ended: everybody who waits hears how.
    pub(super) fn end(&mut self, id: &RequestId, settled: &Settled) {
        for waiting in self.running.remove(id).unwrap_or_default() {
            // Nobody listens where the intake has given up.
            drop(waiting.send(settled.clone()));
        }
        self.ended.push_back(id.clone());
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
    }

    /// Whether the request ended lately.
    pub(super) fn has_ended(&self, id: &RequestId) -> bool {
        self.ended.contains(id)
    }

    /// Whether the request has not ended.
    pub(super) fn is_running(&self, id: &RequestId) -> bool {
        self.running.contains_key(id)
    }

    /// Keeps a cancellation that overtook its request.
    pub(super) fn cancel_ahead(&mut self, id: RequestId, now: Instant) {
        if self.has_ended(&id) {
            return;
        }
        self.cancelled.push_back((id, now));
        if self.cancelled.len() > MAX_CANCELLATIONS {
            self.cancelled.pop_front();
        }
    }

    /// Whether the request was cancelled before it came. A second delivery of it was, too.
    pub(super) fn was_cancelled(&mut self, id: &RequestId, now: Instant) -> bool {
        self.cancelled.retain(|(_, at)| now < *at + CANCELLATION_HOLDS);
        self.cancelled.iter().any(|(cancelled, _)| cancelled == id)
    }
}
