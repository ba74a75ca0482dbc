//! How sessions end.

use tokio::time::Instant;

use super::{
    Key, Outgoing, Receipt, State,
    exchange::{Ending, Sending},
    timers::Due,
};
use crate::{
    message::{Notification, RequestId},
    metrics::ReasonLabel,
};

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Its client ended it.
    Ended,
    /// Nobody used it for `session_timeout`.
    Idle,
    /// The proxy shuts down.
    ShuttingDown,
    /// The handshake did not come to its end.
    HandshakeFailed,
    /// The far end does not know it any more.
    Gone,
    /// The backend is finished.
    BackendFailed,
}

impl Closing {
    /// The word for `data.reason` and the `reason` label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "session_closed",
            Self::Idle => "session_idle",
            Self::ShuttingDown => "shutting_down",
            Self::HandshakeFailed => "handshake_failed",
            Self::Gone => "session_gone",
            Self::BackendFailed => "backend_failed",
        }
    }

    /// What the clients of exchanges in flight are told.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Ended => "the session was ended while the request was in flight; it may have run",
            Self::Idle => "the session was idle for too long",
            Self::ShuttingDown => "the proxy shut down before the answer came; the request may have run",
            Self::HandshakeFailed => "the session's handshake failed: initialize again",
            Self::Gone => {
                "the server does not know the session any more; the request may not have run: initialize again"
            }
            Self::BackendFailed => {
                "the proxy's transport to the server failed for good; the request may have run"
            }
        }
    }
}

impl State {
    /// Ends a session: its exchanges, its streams and everything kept for it, and has the far end told where it can be.
    pub(super) fn close_session(&mut self, key: Key, closing: Closing, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let deadline = now + self.config.request_timeout;
        let in_flight: Vec<(u64, bool)> = session
            .exchanges
            .iter()
            .map(|(number, exchange)| (*number, !exchange.is_initialize && exchange.sending != Sending::Held))
            .collect();
        let mut farewells = Vec::new();
        for (number, _) in in_flight.iter().filter(|(_, was_sent)| *was_sent && closing != Closing::Gone) {
            let wire = RequestId::string(session.wire_id(*number).to_string());
            let cancelled = Notification::cancelled(&wire, closing.as_str());
            farewells.push(session.outbound(cancelled.into(), Some(*number), deadline));
        }
        for (number, _) in in_flight {
            self.end_exchange(key, number, Ending::Closed(closing), now);
        }
        let Some(session) = self.sessions.remove(&key) else { return };
        self.timers.clear(session.idle_at, key, Due::Idle);
        for asked in session.server_requests.values() {
            self.timers.clear(asked.timer_at, key, Due::ServerRequest(asked.number));
        }
        for stream in session.streams.values() {
            stream.close();
        }
        self.by_id.remove(&session.id);
        self.by_route.remove(&session.remote.route);
        self.metrics.sessions.dec();
        self.metrics.sessions_closed.get_or_create(&ReasonLabel { reason: closing.as_str() }).inc();
        tracing::debug!(route = ?session.remote.route, reason = closing.as_str(), "session closed");
        self.outbox.push_back(Outgoing::Close { remote: session.remote, farewells });
    }

    /// Ends every session.
    pub(crate) fn close_all(&mut self, closing: Closing, now: Instant) {
        let keys: Vec<Key> = self.sessions.keys().copied().collect();
        for key in keys {
            self.close_session(key, closing, now);
        }
    }

    /// Has the far end told that a request of its own gets no answer from the client.
    pub(super) fn refuse_server_request(
        &mut self,
        key: Key,
        id: RequestId,
        message: &str,
        reason: &str,
        now: Instant,
    ) {
        let code = crate::message::code::INTERNAL_ERROR;
        self.answer_server_request(key, id, &crate::message::ErrorObject::new(code, message, reason), now);
    }

    /// Has a request of the far end's answered with an error of ours.
    pub(super) fn answer_server_request(
        &mut self,
        key: Key,
        id: RequestId,
        error: &crate::message::ErrorObject<'_>,
        now: Instant,
    ) {
        let deadline = now + self.config.request_timeout;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let response = crate::message::Response::error(Some(id), error);
        let outgoing = session.outgoing(response.into(), None, Receipt::Ours, deadline);
        self.outbox.push_back(outgoing);
    }
}
