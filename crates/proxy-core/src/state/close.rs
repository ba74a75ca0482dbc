//! How sessions end.

use tokio::time::Instant;

use super::{
    Key, Outgoing, Receipt, State,
    exchange::{Ending, Sending},
    far_end::store_session,
    timers::Due,
};
use crate::{
    backend::{Outbound, Remote, Sent},
    error::{BackendError, Delivery},
    id::WireId,
    message::{ErrorObject, Notification, RequestId, Response, code},
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
    /// It was lent for a request that did not end with its answer.
    NotLentAgain,
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
            Self::NotLentAgain => "not_lent_again",
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
            Self::NotLentAgain => "another request left the session unusable",
        }
    }
}

/// A session that has ended but for what the backend still does for it: its path is closed once everything that was being sent
/// is out, or the far end would hear of its end first.
#[derive(Debug)]
pub(super) struct Departing {
    remote: Remote,
    farewells: Vec<Outbound>,
    /// Sends of which no report came yet.
    under_way: usize,
}

impl Departing {
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }
}

impl State {
    /// Ends a session: its exchanges, its streams and everything kept for it, and has the far end told where it can be.
    pub(super) fn close_session(&mut self, key: Key, closing: Closing, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let deadline = now + self.config.request_timeout;
        let in_flight: Vec<u64> = session.exchanges.keys().copied().collect();
        let mut farewells = Vec::new();
        if !matches!(closing, Closing::Gone | Closing::BackendFailed) {
            let mut stopped: Vec<(u64, Notification)> = session.cancelled_unsent.drain().collect();
            for (number, exchange) in &session.exchanges {
                if !exchange.is_initialize
                    && exchange.sending != Sending::Held
                    && exchange.held_answer.is_none()
                {
                    let wire = RequestId::string(session.wire_id(*number).to_string());
                    stopped.push((*number, Notification::cancelled(&wire, closing.as_str())));
                }
            }
            for (number, cancelled) in stopped {
                farewells.push(session.outbound(cancelled.into(), Some(number), deadline));
            }
            let unanswered: Vec<RequestId> = session.server_requests.keys().cloned().collect();
            for id in unanswered {
                let error = ErrorObject::new(code::INTERNAL_ERROR, "the client has gone", closing.as_str());
                farewells.push(session.outbound(Response::error(Some(id), &error).into(), None, deadline));
            }
        }
        for number in in_flight {
            self.end_exchange(key, number, Ending::Closed(closing), now);
        }
        let Some(mut session) = self.sessions.remove(&key) else { return };
        self.timers.clear(session.idle_at, key, Due::Idle);
        if let Some(until) = session.probe.as_ref().and_then(|probe| probe.until) {
            self.timers.clear(until, key, Due::Probe);
        }
        for asked in session.server_requests.values() {
            self.timers.clear(asked.timer_at, key, Due::ServerRequest(asked.number));
        }
        for (number, until) in &session.finished {
            self.timers.clear(*until, key, Due::Replay(*number));
        }
        for stream in session.streams.values() {
            stream.close();
        }
        self.by_id.remove(&session.id);
        self.by_route.remove(&session.remote.route);
        self.metrics.sessions.dec();
        self.metrics.sessions_closed.get_or_create(&ReasonLabel { reason: closing.as_str() }).inc();
        tracing::debug!(route = ?session.remote.route, reason = closing.as_str(), "session closed");
        let pooled = session.pooled.take();
        if session.next_number > 0 {
            let departing = Departing { remote: session.remote, farewells, under_way: session.under_way };
            self.departing.insert(key, departing);
            self.close_if_all_sent(key);
        }
        if let Some(pooled) = pooled {
            self.left_pool(key, pooled, closing, now);
        }
    }

    /// What became of a send of a session that has ended.
    pub(super) fn departing_sent(&mut self, key: Key, receipt: Receipt, result: Result<Sent, BackendError>) {
        let Some(departing) = self.departing.get_mut(&key) else { return };
        departing.under_way = departing.under_way.saturating_sub(1);
        match (receipt, result) {
            (Receipt::Request(number), Err(error)) if error.delivery() == Delivery::NotSent => {
                let wire = WireId::new(departing.remote.route.clone(), number);
                departing.farewells.retain(|farewell| farewell.about.as_ref() != Some(&wire));
            }
            // The far end is told of the end under the id that it gave, however late that came.
            (_, Ok(Sent { session: Some(named) })) => store_session(&mut departing.remote, named),
            (_, Ok(_) | Err(_)) => {}
        }
        self.close_if_all_sent(key);
    }

    fn close_if_all_sent(&mut self, key: Key) {
        if let Some(departing) = self.departing.get_mut(&key).filter(|departing| departing.under_way == 0) {
            let farewells = std::mem::take(&mut departing.farewells);
            let remote = departing.remote.clone();
            self.outbox.push(Outgoing::Close { session: key, remote, farewells });
        }
    }

    /// The backend has closed a session's path, or could not.
    pub(crate) fn closed(&mut self, key: Key, now: Instant) {
        self.departing.remove(&key);
        self.serve_waiting(now);
    }

    /// Ends every session.
    pub(crate) fn close_all(&mut self, closing: Closing, now: Instant) {
        self.end_waiting(closing);
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
        self.answer_server_request(key, id, &ErrorObject::new(code::INTERNAL_ERROR, message, reason), now);
    }

    /// Has a request of the far end's answered with an error of ours.
    pub(super) fn answer_server_request(
        &mut self,
        key: Key,
        id: RequestId,
        error: &ErrorObject<'_>,
        now: Instant,
    ) {
        let deadline = now + self.config.request_timeout;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let response = Response::error(Some(id), error);
        let outgoing = session.outgoing(response.into(), None, Receipt::Ours, deadline, &self.memory);
        session.post(outgoing, &mut self.outbox);
    }
}
