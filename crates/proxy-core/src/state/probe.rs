//! Asking the far end whether it still knows a session.
//!
//! A far end that has forgotten a session, after a restart say, may drop what is for it, so the loss shows as nothing but silence.
//! After a request that ended in silence the session is asked by a `ping` (2025-11-25, basic/utilities/ping). Whatever comes from
//! it is a sign of life. Where nothing comes for `request_timeout`, and nothing is in flight that the far end may be busy with,
//! the session is given up: its client is told so by the next request's 404, and initializes again.

use tokio::time::Instant;

use super::{Key, Receipt, State, close::Closing, timers::Due};
use crate::message::{Request, RequestId};

/// The last question to the far end about a session.
#[derive(Debug)]
pub(super) struct Probe {
    /// The number of its `ping`.
    number: u64,
    /// Until when a sign of life is waited for, while none came.
    pub(super) until: Option<Instant>,
}

impl State {
    /// Asks, unless that is being done already.
    pub(super) fn probe(&mut self, key: Key, now: Instant) {
        let until = now + self.config.request_timeout;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.probe.as_ref().is_some_and(|probe| probe.until.is_some()) {
            return;
        }
        let number = session.next_number;
        let ping = Request::new(RequestId::string(session.wire_id(number).to_string()), "ping", None);
        let outgoing = session.outgoing(ping.into(), Some(number), Receipt::Probe, until, &self.memory);
        session.probe = Some(Probe { number, until: Some(until) });
        self.timers.set(until, key, Due::Probe);
        session.post(outgoing, &mut self.outbox);
    }

    /// Something came from the far end for this session, or the question itself could not be sent: there is no verdict any more.
    pub(super) fn end_probe(&mut self, key: Key) {
        let probe = self.sessions.get_mut(&key).and_then(|session| session.probe.as_mut());
        if let Some(until) = probe.and_then(|probe| probe.until.take()) {
            self.timers.clear(until, key, Due::Probe);
        }
    }

    /// Whether this is the number of the session's last `ping`.
    pub(super) fn is_probe(&self, key: Key, number: u64) -> bool {
        let probe = self.sessions.get(&key).and_then(|session| session.probe.as_ref());
        probe.is_some_and(|probe| probe.number == number)
    }

    /// No sign of life came in time.
    pub(super) fn expire_probe(&mut self, key: Key, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.exchanges.is_empty() && session.server_requests.is_empty() {
            tracing::info!(route = ?session.remote.route, "nothing comes from the far end for a session any more");
            return self.close_session(key, Closing::Gone, now);
        }
        // The far end may be busy with what is in flight, or wait for the client; both have deadlines of their own.
        let until = now + self.config.request_timeout;
        if let Some(probe) = &mut session.probe {
            probe.until = Some(until);
            self.timers.set(until, key, Due::Probe);
        }
    }
}
