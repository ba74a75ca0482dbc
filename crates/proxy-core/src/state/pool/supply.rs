//! Where lent sessions come from: opened, offered to who waits, and given up.

use std::collections::HashMap;

use tokio::time::Instant;

use super::{Failure, PoolKey, Pooled, Standing};
use crate::{
    client,
    message::{ClientCapabilities, RequestId, Response},
    state::{Key, State, admit::MAX_DEPARTING, close::Closing, session::STANDALONE},
};

impl State {
    /// How many more requests this pool can take: those that a session can be had for, and as many to wait as there may be
    /// sessions.
    pub(super) fn free_places(&self, pool: &PoolKey) -> usize {
        let idle = self.pools.by_key.get(pool).map_or(0, |pool| pool.idle.len());
        let opening: usize = self.pools.by_key.values().map(|pool| pool.opening).sum();
        let room = self.config.max_sessions.saturating_sub(self.sessions.len());
        let places = self.config.max_sessions.saturating_add(room).saturating_add(idle + opening);
        places.saturating_sub(self.pools.waiting())
    }

    fn has_room(&self) -> bool {
        self.sessions.len() < self.config.max_sessions
            && self.departing.len() < self.config.max_sessions.max(MAX_DEPARTING)
    }

    /// Gives everyone who waits what there is, first come first served: an answer that is known, a free session, or one that is
    /// being opened.
    pub(in crate::state) fn serve_waiting(&mut self, now: Instant) {
        if self.pools.waiting() == 0 || std::mem::replace(&mut self.pools.is_serving, true) {
            return;
        }
        let numbers: Vec<u64> = self.pools.waiting.keys().copied().collect();
        // Who is ahead in the same pool gets the sessions that are being opened.
        let mut ahead: HashMap<PoolKey, usize> = HashMap::new();
        for number in numbers {
            let Some(waiter) = self.pools.waiting.get(&number) else { continue };
            let key = waiter.pool.clone();
            let is_initialize = waiter.borrower.request.method() == "initialize";
            let Some(pool) = self.pools.by_key.get_mut(&key) else { continue };
            if is_initialize {
                if let Some(result) = pool.initialize.clone() {
                    self.answer_initialize(number, &result);
                    continue;
                }
                if pool.sessions > 0 {
                    continue;
                }
            } else {
                if let Some(session) = pool.idle.pop() {
                    if let Some((_, borrower)) = self.dequeue(number) {
                        self.lend(session, borrower, now);
                    }
                    continue;
                }
                let ahead = ahead.entry(key.clone()).or_default();
                *ahead += 1;
                if *ahead <= pool.opening {
                    continue;
                }
            }
            if self.make_room(&key, now) {
                self.open_pooled(&key, now);
            }
        }
        self.pools.is_serving = false;
    }

    fn answer_initialize(&mut self, number: u64, result: &str) {
        if let Some((pool, borrower)) = self.dequeue(number) {
            let id = borrower.request.id().clone();
            self.answer_borrower(&borrower, Response::result_of(id, result), "result");
            self.pools.tidy(&pool);
        }
    }

    /// Whether one more session may be opened for this pool, after giving up one that nobody needs as much if need be.
    fn make_room(&mut self, pool: &PoolKey, now: Instant) -> bool {
        if self.has_room() {
            return true;
        }
        let has_none = self.pools.by_key.get(pool).is_none_or(|pool| pool.sessions == 0);
        // A pool that has none comes before requests that were there later; otherwise each is served by its own.
        let spare = self.pools.by_key.values().filter(|other| has_none || other.waiting == 0);
        let oldest = spare
            .filter_map(|other| other.idle.first())
            .min_by_key(|key| self.sessions.get(key).map(|session| session.last_activity))
            .copied();
        if let Some(oldest) = oldest {
            self.close_session(oldest, Closing::Idle, now);
        }
        self.has_room()
    }

    fn open_pooled(&mut self, pool: &PoolKey, now: Instant) {
        let key = self.add_session(&pool.principal, ClientCapabilities::default(), now);
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.pooled = Some(Pooled { pool: pool.clone(), standing: Standing::Opening, failure: None });
        let counted = self.pools.by_key.entry(pool.clone()).or_default();
        counted.opening += 1;
        counted.sessions += 1;
        // The id is replaced by the wire's; the answer is the proxy's own, on no stream.
        let request = client::initialize(RequestId::number(0), pool.version);
        if self.begin(key, request, None, STANDALONE, now, now).is_err() {
            self.close_session(key, Closing::HandshakeFailed, now);
        }
    }

    /// The server has answered the proxy's own `initialize`.
    pub(in crate::state) fn finish_pooled(&mut self, key: Key, result: &str, now: Instant) {
        let Some(session) = self.sessions.get(&key) else { return };
        let Some(pooled) = &session.pooled else { return };
        if let Some(pool) = self.pools.by_key.get_mut(&pooled.pool) {
            let shown = client::result_without_session(result);
            pool.initialize = Some(shown.as_deref().unwrap_or(result).into());
        }
        self.finish_handshake(key, client::initialized(), now);
        self.serve_waiting(now);
    }

    /// A session can be lent, for the first time or again.
    pub(in crate::state) fn offer(&mut self, key: Key, now: Instant) {
        let Some(pooled) = self.sessions.get_mut(&key).and_then(|session| session.pooled.as_mut()) else {
            return;
        };
        let was_opening = std::mem::replace(&mut pooled.standing, Standing::Idle) == Standing::Opening;
        if let Some(pool) = self.pools.by_key.get_mut(&pooled.pool) {
            pool.opening -= usize::from(was_opening);
            pool.idle.push(key);
        }
        self.serve_waiting(now);
    }

    /// Closes sessions of a pool that nobody uses: those that were last used before a time, or all.
    pub(super) fn close_idle(&mut self, pool: &PoolKey, before: Option<Instant>, now: Instant) {
        let Some(pool) = self.pools.by_key.get_mut(pool) else { return };
        let sessions = &self.sessions;
        let is_old = |key: &Key| {
            sessions
                .get(key)
                .is_some_and(|session| before.is_none_or(|before| session.last_activity < before))
        };
        let (old, kept) = pool.idle.iter().partition::<Vec<Key>, _>(|key| is_old(key));
        pool.idle = kept;
        for key in old {
            self.close_session(key, Closing::NotLentAgain, now);
        }
    }

    /// A session of a pool was closed.
    pub(in crate::state) fn left_pool(&mut self, key: Key, pooled: Pooled, closing: Closing, now: Instant) {
        let Pooled { pool: pool_key, standing, failure } = pooled;
        if let Some(pool) = self.pools.by_key.get_mut(&pool_key) {
            pool.sessions -= 1;
            pool.opening -= usize::from(standing == Standing::Opening);
            pool.idle.retain(|idle| *idle != key);
        }
        if standing == Standing::Opening {
            let failure = failure.unwrap_or_else(|| Failure::closed(closing));
            self.fail_waiting(&pool_key, &failure);
        }
        self.serve_waiting(now);
        self.pools.tidy(&pool_key);
    }

    /// Notes why a handshake of the proxy's own failed, for those who wait for it.
    pub(in crate::state) fn note_failure(&mut self, key: Key, failure: Option<Failure>) {
        if let Some(pooled) = self.sessions.get_mut(&key).and_then(|session| session.pooled.as_mut()) {
            pooled.failure = failure;
        }
    }
}
