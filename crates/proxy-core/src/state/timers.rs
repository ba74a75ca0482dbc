//! Deadlines: which come next, and what happens when they have passed.

use std::{cmp::max, collections::BTreeSet};

use tokio::time::Instant;

use super::{
    Key, State,
    close::Closing,
    exchange::{Ending, Sending},
    stream::Remains,
};
use crate::message::RequestId;

/// What a deadline is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The session, by inactivity.
    Idle,
    /// The exchange with this number, by silence or in all.
    Exchange(u64),
    /// An answer held back for what was sent before it.
    Held(u64),
    /// The server request with this number.
    ServerRequest(u64),
    /// A complete stream kept for replay.
    Replay(u64),
    /// A sign of life from the far end.
    Probe,
    /// The request with this number, which waits for a session.
    Waiter(u64),
}

/// All deadlines, earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, Key, Due)>);

impl Timers {
    pub(super) fn set(&mut self, at: Instant, key: Key, due: Due) {
        self.0.insert((at, key, due));
    }

    pub(super) fn clear(&mut self, at: Instant, key: Key, due: Due) {
        self.0.remove(&(at, key, due));
    }

    fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _, _)| *at)
    }

    fn pop(&mut self, now: Instant) -> Option<(Key, Due)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first().map(|(_, key, due)| (key, due))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl State {
    /// When [`Self::expire`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Ends what has outlived its deadline.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((key, due)) = self.timers.pop(now) {
            match due {
                Due::Idle => self.expire_session(key, now),
                Due::Exchange(number) => self.expire_exchange(key, number, now),
                Due::Held(number) => self.release_held(key, number, now),
                Due::ServerRequest(number) => self.expire_server_request(key, number, now),
                Due::Replay(number) => self.expire_replay(key, number, now),
                Due::Probe => self.expire_probe(key, now),
                Due::Waiter(number) => self.expire_waiter(number, now),
            }
        }
    }

    fn expire_session(&mut self, key: Key, now: Instant) {
        let timeout = self.config.session_timeout;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let idle_from = if session.is_active() { now } else { session.last_activity };
        let at = idle_from + timeout;
        if at > now {
            session.idle_at = at;
            self.timers.set(at, key, Due::Idle);
        } else {
            self.close_session(key, Closing::Idle, now);
        }
    }

    fn expire_exchange(&mut self, key: Key, number: u64, now: Instant) {
        let Some(exchange) =
            self.sessions.get_mut(&key).and_then(|session| session.exchanges.get_mut(&number))
        else {
            return;
        };
        // While the far end waits for the client's answer, its silence is not its own.
        let heard = if exchange.asking > 0 { now } else { exchange.last_heard };
        let at = (heard + exchange.timeouts.silence).min(exchange.ends_at);
        if at > now {
            exchange.timer_at = at;
            self.timers.set(at, key, Due::Exchange(number));
            return;
        }
        let absolute = exchange.ends_at <= now;
        let was_silent =
            matches!(exchange.sending, Sending::Done | Sending::Maybe) && exchange.held_answer.is_none();
        self.end_exchange(key, number, Ending::TimedOut { absolute }, now);
        if was_silent && !absolute {
            self.probe(key, now);
        }
    }

    fn expire_server_request(&mut self, key: Key, number: u64, now: Instant) {
        let longest = self.config.request_timeout_max;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let found = session.server_requests.iter().find(|(_, asked)| asked.number == number);
        let Some((id, asked)) = found.map(|(id, asked)| (id.clone(), asked.clone())) else { return };
        let unseen = session.streams.get(&asked.stream).is_some_and(|stream| stream.withdraw(&id));
        let at = max(asked.asked_at + longest, asked.timer_at);
        if !unseen && at > now {
            if let Some(asked) = session.server_requests.get_mut(&id) {
                asked.timer_at = at;
            }
            self.timers.set(at, key, Due::ServerRequest(number));
            return;
        }
        session.forget_server_request(&id, now, &mut self.timers);
        self.metrics.discard("server_request_unanswered");
        self.refuse_server_request(
            key,
            RequestId::clone(&id),
            "the client did not answer",
            "client_timeout",
            now,
        );
    }

    fn expire_replay(&mut self, key: Key, number: u64, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(stream) = session.streams.get(&number) else { return };
        if stream.remains() == Remains::Unseen || stream.has_reader() {
            session.keep_stream(number, now, &mut self.timers);
        } else {
            session.forget_stream(number, &mut self.timers);
        }
    }
}
