//! Sessions of the proxy's own, lent to requests that come without one (`stateless = true`).
//!
//! A session is lent for one request at a time, and to one principal and revision for ever. It comes back with the request's
//! answer; however else the request ended, the session is closed, since the far end may still be at it. Within a lent session
//! nothing is passed on but what names its request: a late message of one borrower's reaches nobody.
//!
//! Where no session is free, one is opened, in the place of one that nobody uses if need be. Where all are lent, a request waits,
//! first come first served, at most for its own timeouts; as many may wait as there may be sessions.

mod lease;
mod supply;

pub(super) use self::lease::LeaseEnd;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::time::Instant;

use super::{Key, memory::Reserved, stream::Stream};
use crate::{
    message::{ProgressToken, Request, Response},
    principal::Principal,
    version::ProtocolVersion,
};

/// In the place of a session's key, for what belongs to none.
pub(crate) const NO_SESSION: Key = Key::MAX;

/// Whose requests a session may be lent to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PoolKey {
    principal: Principal,
    /// The revision that the client speaks: what the session's `initialize` asks for.
    version: ProtocolVersion,
}

/// A session's place in its pool.
#[derive(Debug)]
pub(super) struct Pooled {
    pool: PoolKey,
    standing: Standing,
    /// Why its handshake failed, where it did.
    failure: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its handshake is under way.
    Opening,
    /// It waits to be lent.
    Idle,
    /// A request has it.
    Lent,
}

/// Why a session could not be opened.
#[derive(Debug)]
pub(super) struct Failure {
    /// What whoever wanted to initialize gets.
    answer: Response,
    /// What other requests that waited for the session are told.
    message: String,
    reason: &'static str,
}

/// The sessions of one pool.
#[derive(Debug, Default)]
struct Pool {
    /// Those that can be lent, the one that was used last at the end.
    idle: Vec<Key>,
    opening: usize,
    sessions: usize,
    /// Requests that wait for one of them.
    waiting: usize,
    /// What `initialize` gets from a client: the result of the newest handshake, without what needs a session.
    initialize: Option<Arc<str>>,
}

/// A client's request and where its answer goes.
#[derive(Debug)]
pub(super) struct Borrower {
    /// Counts up; the lower one is served first.
    number: u64,
    request: Request,
    token: Option<ProgressToken>,
    stream: Arc<Stream>,
    /// When it was admitted.
    since: Instant,
    /// It was tried in a session that the far end had lost.
    was_tried: bool,
}

/// A borrower for whom there is no session yet.
#[derive(Debug)]
struct Waiter {
    pool: PoolKey,
    borrower: Borrower,
    until: Instant,
    /// Its share of the process's memory.
    _reserved: Reserved,
}

/// All pools, and who waits for a session.
#[derive(Debug, Default)]
pub(super) struct Pools {
    by_key: HashMap<PoolKey, Pool>,
    waiting: BTreeMap<u64, Waiter>,
    next_number: u64,
    /// The waiting are being served: what becomes free meanwhile is seen there.
    is_serving: bool,
}

impl Pools {
    /// How many requests wait for a session.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.waiting.is_empty()
    }

    /// Forgets pools of which nothing is left, since anybody who has a token can make any number of them.
    fn tidy(&mut self, key: &PoolKey) {
        if self.by_key.get(key).is_some_and(|pool| pool.sessions == 0 && pool.waiting == 0) {
            self.by_key.remove(key);
        }
    }
}
