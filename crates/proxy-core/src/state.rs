//! Sessions, exchanges and routing as one pure state machine: no clock, no tasks, no sockets.
//!
//! Every method takes `now`; what has to be sent is put into an outbox that the caller empties; what clients read are
//! [`stream`]s. So every interleaving can be tested without a runtime. A std mutex around it is right: nothing here awaits.

mod admit;
mod close;
mod exchange;
mod route;
mod session;
pub(crate) mod stream;
mod timers;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use self::{
    session::Session,
    stream::{Memory, Stream},
    timers::Timers,
};
use crate::{
    backend::{Outbound, Remote},
    config::SessionConfig,
    id::{InstanceId, RouteKey, SessionId},
    metrics::Metrics,
    principal::Principal,
    refusal::Refusal,
};

pub(crate) use self::{admit::Reading, close::Closing};

/// How often a session's standalone stream may be taken over. The official TypeScript SDK (1.x) would else displace its own
/// live stream for ever.
pub(crate) const TAKEOVER_INTERVAL: Duration = Duration::from_secs(30);

/// How long an answered stream that its reader saw to the end can be replayed, for a client whose connection broke unseen.
pub(crate) const REPLAY_TIME: Duration = Duration::from_mins(1);

/// How long an answer waits for the messages that were sent before it.
pub(crate) const HOLD_TIME: Duration = Duration::from_secs(1);

/// The most messages that wait to be sent by the proxy of its own accord.
const MAX_OUTBOX: usize = 10_000;

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
    next_key: Key,
    timers: Timers,
    outbox: VecDeque<Outgoing>,
    /// Exchanges without an answer, of all sessions.
    in_flight: usize,
    draining: bool,
}

/// What the caller has to do with the backend.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Send this and report with [`State::sent`].
    Send {
        /// Whose it is.
        session: Key,
        /// The message.
        outbound: Box<Outbound>,
        /// What the report is about.
        receipt: Receipt,
    },
    /// Send these in order, and then close.
    Close {
        /// Whose path ends.
        remote: Remote,
        /// Cancellations of what was in flight.
        farewells: Vec<Outbound>,
    },
}

impl Outgoing {
    fn is_request(&self, number: u64) -> bool {
        matches!(self, Self::Send { receipt: Receipt::Request(held), .. } if *held == number)
    }
}

/// What a finished send was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// The request with this number.
    Request(u64),
    /// `notifications/initialized`, which the session's requests wait for.
    Initialized,
    /// Another message of the client's.
    Told,
    /// A message of the proxy's own.
    Ours,
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
        config: SessionConfig,
        memory: Arc<Memory>,
        metrics: Metrics,
    ) -> Self {
        Self {
            instance,
            config,
            memory,
            metrics,
            sessions: HashMap::new(),
            by_id: HashMap::new(),
            by_route: HashMap::new(),
            next_key: 0,
            timers: Timers::default(),
            outbox: VecDeque::new(),
            in_flight: 0,
            draining: false,
        }
    }

    /// What is to be done with the backend, oldest first.
    pub(crate) fn take_outbox(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.outbox).into()
    }

    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn exchange_count(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
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
