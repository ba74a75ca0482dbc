//! When a call was where: noted by what stands between the parts of proxy and worker, and hands everything on as it is.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use proxy_core::{
    backend::{Backend, Event, Inbound, Inbox, Limits, Outbound, Remote, Sent, Settlement},
    error::BackendError,
    id::RemoteSession,
    intake::{Arrival, ArrivalEvent, Desk, Intake, Reply, Stopping, Taken},
    message::Message,
};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::app::Between;

/// The method of the calls that are followed.
const CALL: &str = "tools/call";

/// Where a call can be, in the order in which it gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The client has begun to ask.
    Asked,
    /// The proxy gives it to the transport.
    Sent,
    /// The worker has it.
    Taken,
    /// The MCP server runs it.
    Started,
    /// The worker gives the answer to the transport.
    Answered,
    /// The proxy has the answer.
    Received,
    /// The client has the answer.
    Done,
}

/// When one call was where.
#[derive(Debug, Default)]
pub(super) struct Trail(Mutex<Option<BTreeMap<Stage, Instant>>>);

impl Trail {
    /// Follows the call that is made next.
    pub(super) fn begin(&self) {
        *self.lock() = Some(BTreeMap::from([(Stage::Asked, Instant::now())]));
    }

    /// The call is here now; what was noted before stays.
    pub(super) fn note(&self, stage: Stage) {
        if let Some(noted) = &mut *self.lock() {
            noted.entry(stage).or_insert_with(Instant::now);
        }
    }

    /// When it was where, counted from its begin. Nothing is followed any more.
    pub(super) fn end(&self) -> Vec<(Stage, Duration)> {
        self.note(Stage::Done);
        let noted = self.lock().take().unwrap_or_default();
        let Some(begin) = noted.get(&Stage::Asked).copied() else { return Vec::new() };
        noted.into_iter().map(|(stage, at)| (stage, at.duration_since(begin))).collect()
    }

    fn note_request(&self, stage: Stage, message: &Message) {
        if message.method() == Some(CALL) {
            self.note(stage);
        }
    }

    fn note_answer(&self, stage: Stage, message: &Message) {
        if matches!(message, Message::Response(_)) {
            self.note(stage);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<BTreeMap<Stage, Instant>>> {
        // Nothing that holds it can fail half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes on a trail what passes.
struct Noting<T: ?Sized> {
    trail: Arc<Trail>,
    inner: Arc<T>,
}

/// The parts of proxy and worker, with something between them that notes what passes.
#[derive(Debug)]
pub(super) struct Noted(pub(super) Arc<Trail>);

impl Noted {
    fn before<T: ?Sized>(&self, inner: Arc<T>) -> Arc<Noting<T>> {
        Arc::new(Noting { trail: Arc::clone(&self.0), inner })
    }
}

impl Between for Noted {
    fn inbox(&self, inbox: Arc<dyn Inbox>) -> Arc<dyn Inbox> {
        self.before(inbox)
    }

    fn backend(&self, backend: Arc<dyn Backend>) -> Arc<dyn Backend> {
        self.before(backend)
    }

    fn intake(&self, intake: Arc<dyn Intake>) -> Arc<dyn Intake> {
        self.before(intake)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Noting<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Noting").field(&&self.inner).finish()
    }
}

impl Inbox for Noting<dyn Inbox> {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        if let Event::Message(message) = &inbound.event {
            self.trail.note_answer(Stage::Received, message);
        }
        self.inner.deliver(inbound)
    }
}

#[async_trait]
impl Backend for Noting<dyn Backend> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.inner.check().await
    }

    async fn send(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        self.trail.note_request(Stage::Sent, &outbound.message);
        self.inner.send(outbound).await
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        self.inner.run(shutdown).await
    }

    async fn close(&self, remote: &Remote) -> Result<(), BackendError> {
        self.inner.close(remote).await
    }
}

impl Desk for Noting<dyn Desk> {
    fn take(&self, arrival: Arrival) -> Taken {
        if let ArrivalEvent::Message(message) = &arrival.event {
            self.trail.note_request(Stage::Taken, message);
        }
        self.inner.take(arrival)
    }
}

#[async_trait]
impl Intake for Noting<dyn Intake> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn has_receipts(&self) -> bool {
        self.inner.has_receipts()
    }

    fn neighbourhood(&self) -> Vec<String> {
        self.inner.neighbourhood()
    }

    fn owner(&self) -> Option<&str> {
        self.inner.owner()
    }

    fn owner_of(&self, session: &RemoteSession) -> Option<Box<str>> {
        self.inner.owner_of(session)
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.inner.check().await
    }

    async fn run(&self, desk: Arc<dyn Desk>, stopping: Stopping) -> Result<(), BackendError> {
        let noted: Arc<Noting<dyn Desk>> = Arc::new(Noting { trail: Arc::clone(&self.trail), inner: desk });
        self.inner.run(noted, stopping).await
    }

    async fn reply(&self, reply: Reply) -> Result<(), BackendError> {
        self.trail.note_answer(Stage::Answered, &reply.message);
        self.inner.reply(reply).await
    }

    async fn forward(&self, owner: &str, arrival: &Arrival) -> Result<(), BackendError> {
        self.inner.forward(owner, arrival).await
    }

    async fn close(&self, session: &RemoteSession) {
        self.inner.close(session).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_time_at_a_place_counts_and_only_while_a_call_is_followed() {
        let trail = Trail::default();
        trail.note(Stage::Sent);
        assert_eq!(trail.end(), []);
        trail.begin();
        trail.note(Stage::Taken);
        trail.note(Stage::Sent);
        trail.note(Stage::Taken);
        let stages: Vec<Stage> = trail.end().into_iter().map(|(stage, _)| stage).collect();
        assert_eq!(stages, [Stage::Asked, Stage::Sent, Stage::Taken, Stage::Done]);
        assert_eq!(trail.end(), []);
    }
}
