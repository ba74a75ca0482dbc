//! The layer that front ends share: it drives the state machine and the backend.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Waker},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    backend::{Backend, Outbound},
    error::{BackendError, ErrorKind},
    id::SessionId,
    message::{Message, Request},
    principal::Principal,
    refusal::Refusal,
    reply::{EventStream, Media, Pending},
    router::Router,
    state::{Closing, Key, NO_SESSION, Outgoing, Receipt},
    version::ProtocolVersion,
};

/// How long the result of a readiness check holds. Load balancers ask often, and each question costs calls.
const CHECK_HOLDS: Duration = Duration::from_secs(5);

/// The most messages of the proxy's own that are being sent at once.
const OWN_SENDS: usize = 64;

/// How long telling the far end about ended sessions may take at the end.
const FAREWELL_TIME: Duration = Duration::from_secs(2);

/// The proxy: sessions and exchanges in front of one backend.
pub struct Proxy {
    router: Arc<Router>,
    backend: Arc<dyn Backend>,
    /// Every send; waited for at the end.
    sends: TaskTracker,
    own_sends: Arc<Semaphore>,
    checked: Mutex<Option<(Instant, bool)>>,
}

/// A session that was opened, and the answer to its `initialize` on its way.
#[derive(Debug)]
pub struct Opened {
    /// The new session's id, for the client alone.
    pub session: SessionId,
    /// The answer.
    pub pending: Pending,
}

impl Proxy {
    /// A proxy over a backend that was built with this router as its inbox.
    pub fn new(router: Arc<Router>, backend: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self {
            router,
            backend,
            sends: TaskTracker::new(),
            own_sends: Arc::new(Semaphore::new(OWN_SENDS)),
            checked: Mutex::new(None),
        })
    }

    /// Opens a session with a client's `initialize` request, and binds it to its principal.
    pub fn open(
        self: &Arc<Self>,
        caller: &Principal,
        initialize: Request,
        media: Media,
    ) -> Result<Opened, Refusal> {
        let (opened, outgoing) =
            self.router.admit(|state, now| state.open(caller, initialize, media, now))?;
        self.send_all(outgoing);
        let pending = Pending::new(Arc::clone(&self.router), opened.key, opened.stream);
        Ok(Opened { session: opened.session, pending })
    }

    /// Takes all that a client sent in one go: one message, or a batch where the session's revision has batches. `None` where
    /// nothing of it wants an answer.
    pub fn forward(
        self: &Arc<Self>,
        session: &SessionId,
        caller: &Principal,
        messages: Vec<Message>,
        media: Media,
    ) -> Result<Option<Pending>, Refusal> {
        let (forwarded, outgoing) =
            self.router.admit(|state, now| state.forward(session, caller, messages, media, now))?;
        self.send_all(outgoing);
        Ok(forwarded.map(|(key, stream)| Pending::new(Arc::clone(&self.router), key, stream)))
    }

    /// Takes what a client without a session sent in one go (`stateless = true`): one message, or a batch where this revision has
    /// batches. Each request is served in a session of the proxy's own that was lent for it; nothing can be resumed. `None` where
    /// nothing of it wants an answer.
    ///
    /// `version` is the revision that the client speaks. `initialize` is answered from what the proxy's own initialize got, `ping`
    /// here; what needs a session gets -32601. A client that goes away takes nothing with it: the lent session comes back when its
    /// request has ended.
    pub fn call(
        self: &Arc<Self>,
        caller: &Principal,
        version: ProtocolVersion,
        messages: Vec<Message>,
        media: Media,
    ) -> Result<Option<Pending>, Refusal> {
        let (stream, outgoing) =
            self.router.admit(|state, now| state.call(caller, version, messages, media, now))?;
        self.send_all(outgoing);
        Ok(stream.map(|stream| Pending::new(Arc::clone(&self.router), NO_SESSION, stream)))
    }

    /// The revision that the session agreed on; [`ProtocolVersion::ASSUMED`] while that is not known.
    pub fn version(&self, session: &SessionId, caller: &Principal) -> Result<ProtocolVersion, Refusal> {
        self.router.look(|state| state.version(session, caller))
    }

    /// Opens the session's standalone stream. A reader that it still has is ended, though at most once in 30 s.
    pub fn listen(self: &Arc<Self>, session: &SessionId, caller: &Principal) -> Result<EventStream, Refusal> {
        let (reading, outgoing) = self.router.admit(|state, now| state.listen(session, caller, now))?;
        self.send_all(outgoing);
        Ok(EventStream::new(Arc::clone(&self.router), reading))
    }

    /// Continues the stream that an event id names, after that event. `None`: the stream is complete and the client has had all of
    /// it.
    pub fn resume(
        self: &Arc<Self>,
        session: &SessionId,
        caller: &Principal,
        last_event_id: &str,
    ) -> Result<Option<EventStream>, Refusal> {
        let (reading, outgoing) =
            self.router.admit(|state, now| state.resume(session, caller, last_event_id, now))?;
        self.send_all(outgoing);
        Ok(reading.map(|reading| EventStream::new(Arc::clone(&self.router), reading)))
    }

    /// Ends a session by its client's wish.
    pub fn end(self: &Arc<Self>, session: &SessionId, caller: &Principal) -> Result<(), Refusal> {
        let ((), outgoing) = self.router.admit(|state, now| state.end(session, caller, now))?;
        self.send_all(outgoing);
        Ok(())
    }

    /// Whether the proxy can serve: its backend can be reached and permits us, and it is not draining. Asked of the backend at most
    /// every five seconds.
    pub async fn check(&self) -> Result<(), BackendError> {
        let not_ready = |message: &str| Err(BackendError::new(ErrorKind::Unavailable, "check", message));
        if self.is_draining() {
            return not_ready("the proxy is shutting down");
        }
        {
            let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, was_ready)) = &mut *checked {
                if at.elapsed() < CHECK_HOLDS {
                    return if *was_ready {
                        Ok(())
                    } else {
                        not_ready("the backend was not ready a moment ago")
                    };
                }
                // Whoever asks while this check runs gets the last result: many may ask, and each question costs calls.
                *at = Instant::now();
            }
        }
        let result = self.backend.check().await;
        if let Err(error) = &result {
            let cause = std::error::Error::source(error);
            tracing::warn!(error.r#type = error.kind().as_str(), %error, cause, "the backend is not ready");
        }
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), result.is_ok()));
        result
    }

    /// How many sessions are open.
    pub fn active_sessions(&self) -> usize {
        self.router.look(crate::state::State::session_count)
    }

    /// How many requests have no answer yet.
    pub fn exchanges_in_flight(&self) -> usize {
        self.router.look(crate::state::State::exchange_count)
    }

    /// The backend's name.
    pub fn backend_name(&self) -> &'static str {
        self.backend.name()
    }

    /// Whether clients over HTTP have no sessions of their own (`stateless = true`): their front end uses [`Self::call`] alone.
    pub fn is_stateless(&self) -> bool {
        self.router.look(crate::state::State::is_stateless)
    }

    /// Whether the proxy takes nothing new any more.
    pub fn is_draining(&self) -> bool {
        self.router.look(crate::state::State::is_draining)
    }

    /// Runs the backend and the deadlines until `shutdown` fires.
    ///
    /// A backend that ends before that is fatal: every exchange ends with an error, and so does this.
    pub async fn run(self: &Arc<Self>, shutdown: CancellationToken) -> Result<(), BackendError> {
        let result = tokio::select! {
            result = self.backend.run(shutdown.clone()) => result,
            () = self.keep_time() => Ok(()),
        };
        if shutdown.is_cancelled() {
            return result;
        }
        let ((), outgoing) = self.router.transition(|state, now| {
            state.drain();
            state.close_all(Closing::BackendFailed, now);
        });
        drop(outgoing);
        result.and_then(|()| {
            Err(BackendError::new(ErrorKind::Unavailable, "run", "the backend ended by itself"))
        })
    }

    /// Takes nothing new any more, ends the standalone streams, and waits until every exchange has ended, at most until `deadline`;
    /// then ends every session. [`Self::run`] must go on meanwhile, or no answer comes.
    pub async fn drain(self: &Arc<Self>, deadline: Instant) {
        let ((), outgoing) = self.router.transition(|state, _| state.drain());
        self.send_all(outgoing);
        let farewell = deadline.checked_sub(FAREWELL_TIME).unwrap_or(deadline);
        while self.exchanges_in_flight() > 0 {
            let ended = self.router.ended.notified();
            if self.exchanges_in_flight() == 0 || tokio::time::timeout_at(farewell, ended).await.is_err() {
                break;
            }
        }
        let in_flight = self.exchanges_in_flight();
        if in_flight > 0 {
            tracing::warn!(in_flight, "requests are cut off by the end of the grace period");
        }
        let ((), outgoing) = self.router.transition(|state, now| state.close_all(Closing::ShuttingDown, now));
        self.send_all(outgoing);
        self.sends.close();
        if tokio::time::timeout_at(deadline, self.sends.wait()).await.is_err() {
            tracing::warn!("messages to the far end are cut off by the end of the grace period");
        }
    }

    /// Wakes for the next deadline, and sends what the state machine wants sent of its own accord.
    async fn keep_time(self: &Arc<Self>) {
        loop {
            let changed = self.router.changed.notified();
            let ((), outgoing) = self.router.transition(super::state::State::expire);
            self.send_all(outgoing);
            match self.router.look(crate::state::State::next_deadline) {
                Some(deadline) => drop(tokio::time::timeout_at(deadline, changed).await),
                None => changed.await,
            }
        }
    }

    fn send_all(self: &Arc<Self>, outgoing: Vec<Outgoing>) {
        for outgoing in outgoing {
            let proxy = Arc::clone(self);
            match outgoing {
                Outgoing::Send { session, outbound, receipt, reserved } => {
                    self.begin_task(Box::pin(async move {
                        proxy.send(session, *outbound, receipt).await;
                        drop(reserved);
                    }));
                }
                Outgoing::Close { session, remote, farewells } => {
                    self.sends.spawn(async move {
                        for outbound in farewells {
                            proxy.send_own(outbound).await;
                        }
                        if let Err(error) = proxy.backend.close(&remote).await {
                            tracing::debug!(route = ?remote.route, error.r#type = error.kind().as_str(), %error, "the far end could not be told that a session ended");
                        }
                        let ((), outgoing) = proxy.router.transition(|state, now| state.closed(session, now));
                        proxy.send_all(outgoing);
                    });
                }
            }
        }
    }

    /// Begins what goes on in a task of its own, whoever called and whatever becomes of them. Begins it here: most transports take a
    /// message, or queue it, without having to wait, and a task that ends at once costs more than all it does.
    fn begin_task(&self, mut task: BoxFuture<'static, ()>) {
        let mut nobody = Context::from_waker(Waker::noop());
        if task.as_mut().poll(&mut nobody).is_pending() {
            self.sends.spawn(task);
        }
    }

    async fn send(self: &Arc<Self>, session: Key, outbound: Outbound, receipt: Receipt) {
        let _permit = match receipt {
            Receipt::Ours | Receipt::Probe => self.own_sends.acquire().await.ok(),
            Receipt::Request(_) | Receipt::Initialized | Receipt::Told => None,
        };
        let result = self.backend.send(outbound).await;
        if let Err(error) = &result {
            log_failed_send(error);
        }
        let ((), outgoing) = self.router.transition(|state, now| state.sent(session, receipt, result, now));
        self.send_all(outgoing);
    }

    async fn send_own(&self, outbound: Outbound) {
        let _permit = self.own_sends.acquire().await.ok();
        if let Err(error) = self.backend.send(outbound).await {
            log_failed_send(&error);
        }
    }
}

fn log_failed_send(error: &BackendError) {
    let cause = std::error::Error::source(error);
    tracing::warn!(error.r#type = error.kind().as_str(), operation = error.operation(), %error, cause, "a message could not be sent");
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Proxy").field("backend", &self.backend).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
