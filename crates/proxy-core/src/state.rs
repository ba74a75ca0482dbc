//! Sessions, exchanges and routing as one pure state machine: no clock, no tasks, no sockets.
//!
//! Every method takes `now`; what has to be sent is put into an outbox that the caller empties; what clients read are
//! [`stream`]s. So every interleaving can be tested without a runtime. A std mutex around it is right: nothing here awaits.

mod admit;
mod close;
mod exchange;
mod far_end;
pub(crate) mod memory;
mod outbox;
mod pool;
mod probe;
mod route;
mod session;
pub(crate) mod stream;
mod timers;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use self::{
    close::Departing, memory::Memory, outbox::Outbox, pool::Pools, session::Session, stream::Stream,
    timers::Timers,
};
use crate::{
    config::SessionConfig,
    id::{InstanceId, RouteKey, SessionId},
    metrics::Metrics,
    principal::Principal,
    refusal::Refusal,
};

pub(crate) use self::{
    admit::Reading,
    close::Closing,
    outbox::{Outgoing, Receipt},
    pool::NO_SESSION,
};

/// How often a session's standalone stream may be taken over. The official TypeScript SDK (1.x) would else displace its own
/// live stream for ever.
pub(crate) const TAKEOVER_INTERVAL: Duration = Duration::from_secs(30);

/// How long an answered stream that its reader saw to the end can be replayed, for a client whose connection broke unseen.
pub(crate) const REPLAY_TIME: Duration = Duration::from_mins(1);

/// How long an answer waits for the messages that were sent before it.
pub(crate) const HOLD_TIME: Duration = Duration::from_secs(1);

/// How often memory is searched for what can be given up while it is full. A search looks at every session.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// The longest `session_timeout` that makes a difference.
const FOREVER: Duration = Duration::from_hours(24 * 365);

/// Names a session inside the state, cheaper than its ids.
pub(crate) type Key = u64;

/// Everything that the proxy knows about its sessions.
#[derive(Debug)]
pub(crate) struct State {
    instance: InstanceId,
    config: SessionConfig,
    memory: Arc<Memory>,
    metrics: Metrics,
    sessions: HashMap<Key, Session>,
    by_id: HashMap<SessionId, Key>,
    by_route: HashMap<RouteKey, Key>,
    /// Sessions that have ended but for what the backend still does for them.
    departing: HashMap<Key, Departing>,
    next_key: Key,
    timers: Timers,
    outbox: Outbox,
    pools: Pools,
    /// Exchanges without an answer, of all sessions.
    in_flight: usize,
    draining: bool,
    searched_at: Option<Instant>,
}

/// A session that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) key: Key,
    pub(crate) session: SessionId,
    pub(crate) stream: Arc<Stream>,
}

impl State {
    pub(crate) fn new(
        instance: InstanceId,
        mut config: SessionConfig,
        memory: Arc<Memory>,
        metrics: Metrics,
    ) -> Self {
        config.session_timeout = config.session_timeout.min(FOREVER);
        Self {
            instance,
            config,
            memory,
            metrics,
            sessions: HashMap::new(),
            by_id: HashMap::new(),
            by_route: HashMap::new(),
            departing: HashMap::new(),
            next_key: 0,
            timers: Timers::default(),
            outbox: Outbox::default(),
            pools: Pools::default(),
            in_flight: 0,
            draining: false,
            searched_at: None,
        }
    }

    /// What is to be done with the backend, oldest first.
    pub(crate) fn take_outbox(&mut self) -> Vec<Outgoing> {
        self.outbox.take()
    }

    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Requests that have no answer yet, and handshakes of the proxy's own.
    pub(crate) fn exchange_count(&self) -> usize {
        self.in_flight + self.pools.waiting()
    }

    pub(crate) fn is_stateless(&self) -> bool {
        self.config.stateless
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    #[cfg(test)]
    pub(crate) fn routes(&self) -> Vec<RouteKey> {
        self.by_route.keys().cloned().collect()
    }

    /// Whether clients' undelivered messages take all the memory that they may, after giving up what is only kept for replay.
    fn is_memory_full(&mut self, now: Instant) -> bool {
        if !self.memory.is_full() {
            return false;
        }
        if self.searched_at.is_none_or(|at| now >= at + SEARCH_INTERVAL) {
            self.searched_at = Some(now);
            let timers = &mut self.timers;
            self.sessions.values_mut().for_each(|session| session.forget_seen(timers));
        }
        self.memory.is_full()
    }

    /// The live session with this id, if it is this caller's.
    fn find(&self, session: &SessionId, caller: &Principal) -> Result<Key, Refusal> {
        let key = *self.by_id.get(session).ok_or(Refusal::SessionNotFound)?;
        match self.sessions.get(&key) {
            Some(found) if found.principal == *caller => Ok(key),
            _ => Err(Refusal::SessionNotFound),
        }
    }

    fn session(&mut self, session: &SessionId, caller: &Principal) -> Result<(Key, &mut Session), Refusal> {
        let key = self.find(session, caller)?;
        self.sessions.get_mut(&key).map(|session| (key, session)).ok_or(Refusal::SessionNotFound)
    }
}

#[cfg(test)]
mod tests;
