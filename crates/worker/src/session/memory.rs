//! What a session remembers of requests that are over, or have not come yet.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use proxy_core::{intake::Settled, message::RequestId};
use tokio::{sync::oneshot, time::Instant};

use crate::shared::LONGEST_NAME;

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
    /// Those that were cancelled.
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

    /// Keeps a cancellation: its request may come yet, or once more.
    pub(super) fn cancel(&mut self, id: RequestId, now: Instant) {
        if self.has_ended(&id) || id.as_text().len() > LONGEST_NAME {
            return;
        }
        self.cancelled.push_back((id, now));
        if self.cancelled.len() > MAX_CANCELLATIONS {
            self.cancelled.pop_front();
        }
    }

    /// Whether the request was cancelled.
    pub(super) fn was_cancelled(&mut self, id: &RequestId, now: Instant) -> bool {
        self.cancelled.retain(|(_, at)| now < *at + CANCELLATION_HOLDS);
        self.cancelled.iter().any(|(cancelled, _)| cancelled == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: i64) -> RequestId {
        RequestId::number(number)
    }

    #[test]
    fn everybody_who_waits_hears_what_became_of_a_request() {
        let mut requests = Requests::default();
        let (first, mut heard_first) = oneshot::channel();
        let (second, mut heard_second) = oneshot::channel();
        requests.begin(id(1), first);
        assert!(requests.is_running(&id(1)));
        assert!(requests.join(&id(1), second).is_ok());
        requests.end(&id(1), &Settled::Done);
        assert_eq!((heard_first.try_recv(), heard_second.try_recv()), (Ok(Settled::Done), Ok(Settled::Done)));
        assert!(requests.has_ended(&id(1)) && !requests.is_running(&id(1)));
        let (third, _) = oneshot::channel();
        assert!(requests.join(&id(1), third).is_err());
    }

    #[test]
    fn a_cancellation_holds_for_some_minutes() {
        let (mut requests, now) = (Requests::default(), Instant::now());
        requests.cancel(id(1), now);
        assert!(!requests.was_cancelled(&id(2), now));
        assert!(requests.was_cancelled(&id(1), now + CANCELLATION_HOLDS / 2));
        assert!(!requests.was_cancelled(&id(1), now + CANCELLATION_HOLDS));
    }

    #[test]
    fn a_cancellation_that_comes_too_late_does_not_count() {
        let (mut requests, now) = (Requests::default(), Instant::now());
        requests.end(&id(1), &Settled::Done);
        requests.cancel(id(1), now);
        assert!(!requests.was_cancelled(&id(1), now));
    }

    #[test]
    fn no_more_is_remembered_than_may_be() {
        let (mut requests, now) = (Requests::default(), Instant::now());
        for number in 0..1_000 {
            requests.cancel(id(number), now);
            requests.end(&id(-number - 1), &Settled::Done);
        }
        assert_eq!((requests.cancelled.len(), requests.ended.len()), (MAX_CANCELLATIONS, MAX_ENDED));
    }
}
