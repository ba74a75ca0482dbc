//! Requests without a session: what they are answered, and how one borrows a session and gives it back.

use std::{collections::HashSet, sync::Arc};

use tokio::time::Instant;

use super::{Borrower, Failure, PoolKey, Standing, Waiter};
use crate::{
    client,
    message::{ErrorObject, Message, ProgressToken, Request, RequestId, Response, code},
    metrics::{ExchangeLabels, method_label},
    principal::Principal,
    refusal::Refusal,
    state::{
        Key, State,
        close::Closing,
        exchange::{Ending, Exchange},
        stream::{Kind, Media, Stream},
        timers::Due,
    },
    version::ProtocolVersion,
};

impl State {
    /// Takes what a client sent in one go, without a session: all of it or nothing. Returns the stream of the answers, if there is
    /// something to answer.
    pub(crate) fn call(
        &mut self,
        caller: &Principal,
        version: ProtocolVersion,
        messages: Vec<Message>,
        media: Media,
        now: Instant,
    ) -> Result<Option<Arc<Stream>>, Refusal> {
        let requests = messages.iter().filter(|message| matches!(message, Message::Request(_))).count();
        if requests > 0 {
            self.admit_more(now)?;
        }
        let pool = PoolKey { principal: caller.clone(), version };
        let tokens = self.check_call(&pool, &messages)?;
        let stream =
            (requests > 0).then(|| Stream::for_exchanges(1, requests, media, Arc::clone(&self.memory)));
        let mut tokens = tokens.into_iter();
        for message in messages {
            match (message, &stream) {
                (Message::Request(request), Some(stream)) => {
                    self.take_call(&pool, request, tokens.next().flatten(), stream, now);
                }
                (Message::Notification(notification), _)
                    if notification.method() == "notifications/initialized" => {}
                (Message::Request(_), None) | (Message::Notification(_), _) => {
                    // Whose request a cancellation names nobody can tell: clients without a session count from the same numbers.
                    self.metrics.discard("notification_without_session");
                }
                (Message::Response(_), _) => self.metrics.discard("answer_to_unknown_server_request"),
            }
        }
        self.serve_waiting(now);
        Ok(stream)
    }

    /// Checks all of a client's messages before any of them is taken. Returns the requests' progress tokens.
    fn check_call(
        &self,
        pool: &PoolKey,
        messages: &[Message],
    ) -> Result<Vec<Option<ProgressToken>>, Refusal> {
        if messages.len() > 1 && !pool.version.has_batches() {
            return Err(Refusal::InvalidRequest("batches are not part of the protocol version"));
        }
        let mut tokens = Vec::new();
        let mut ids: HashSet<&RequestId> = HashSet::new();
        let mut borrowers = 0;
        for message in messages {
            let Message::Request(request) = message else { continue };
            if messages.len() > 1 && !ids.insert(request.id()) {
                return Err(Refusal::InvalidRequest("a request with this id is in flight already"));
            }
            match request.method() {
                "ping" => {}
                "initialize" => {
                    request.initialize_params()?;
                }
                method => borrowers += usize::from(client::is_served_without_session(method)),
            }
            tokens.push(request.progress_token()?.cloned());
        }
        if borrowers > self.free_places(pool) {
            return Err(Refusal::TooManyWaiting);
        }
        Ok(tokens)
    }

    fn take_call(
        &mut self,
        pool: &PoolKey,
        request: Request,
        token: Option<ProgressToken>,
        stream: &Arc<Stream>,
        now: Instant,
    ) {
        let id = request.id().clone();
        let pool = match request.method() {
            "ping" => {
                stream.push(Kind::Answer, Response::empty_result(id).into_text());
                return;
            }
            "initialize" => PoolKey { version: request.requested_version(), ..pool.clone() },
            method if client::is_served_without_session(method) => pool.clone(),
            _ => {
                let message = "this endpoint keeps no sessions, and the method needs one";
                let error = ErrorObject::new(code::METHOD_NOT_FOUND, message, "stateless");
                stream.push(Kind::Answer, Response::error(Some(id), &error).into_text());
                return;
            }
        };
        let number = self.pools.next_number;
        self.pools.next_number += 1;
        let stream = Arc::clone(stream);
        let borrower = Borrower { number, request, token, stream, since: now, was_tried: false };
        self.enqueue(pool, borrower, now);
    }

    /// Puts a request into the line for a session.
    pub(super) fn enqueue(&mut self, pool: PoolKey, borrower: Borrower, now: Instant) {
        let timeouts = self.config.timeouts(borrower.request.tool_name());
        let until = (now + timeouts.silence).min(borrower.since + timeouts.absolute);
        let number = borrower.number;
        let reserved = self.memory.reserve(borrower.request.as_str().len());
        self.timers.set(until, super::NO_SESSION, Due::Waiter(number));
        self.pools.by_key.entry(pool.clone()).or_default().waiting += 1;
        self.pools.waiting.insert(number, Waiter { pool, borrower, until, _reserved: reserved });
    }

    /// Takes a request out of the line.
    pub(super) fn dequeue(&mut self, number: u64) -> Option<(PoolKey, Borrower)> {
        let Waiter { pool, borrower, until, .. } = self.pools.waiting.remove(&number)?;
        self.timers.clear(until, super::NO_SESSION, Due::Waiter(number));
        if let Some(pool) = self.pools.by_key.get_mut(&pool) {
            pool.waiting -= 1;
        }
        Some((pool, borrower))
    }

    /// Lends this session to this request.
    pub(super) fn lend(&mut self, key: Key, borrower: Borrower, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(pooled) = &mut session.pooled else { return };
        pooled.standing = Standing::Lent;
        let stream = session.next_stream;
        session.next_stream += 1;
        session.streams.insert(stream, Arc::clone(&borrower.stream));
        let Borrower { request, token, since, was_tried, .. } = &borrower;
        match self.begin(key, request.clone(), token.clone(), stream, *since, now) {
            Ok(()) if *was_tried => {}
            Ok(()) => {
                let session = self.sessions.get_mut(&key);
                let exchange = session.and_then(|session| session.exchanges.values_mut().next_back());
                if let Some(exchange) = exchange {
                    exchange.borrower = Some(Box::new(borrower));
                }
            }
            Err(refusal) => {
                let error = ErrorObject::new(
                    refusal.code(),
                    "the parameters do not fit the method",
                    refusal.reason(),
                );
                self.answer_borrower(&borrower, Response::error(None, &error), refusal.reason());
                self.give_back(key, stream, now);
            }
        }
    }

    /// A lent session's exchange ended with its answer: it may be lent again.
    fn give_back(&mut self, key: Key, stream: u64, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.streams.remove(&stream);
        session.last_activity = now;
        self.offer(key, now);
    }

    /// A lent session's exchange has ended.
    pub(in crate::state) fn end_lease(&mut self, key: Key, exchange: &Exchange, end: LeaseEnd, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(pool) = session.pooled.as_ref().map(|pooled| pooled.pool.clone()) else { return };
        match end {
            LeaseEnd::Answered => self.give_back(key, exchange.stream, now),
            LeaseEnd::Closing => {}
            LeaseEnd::Silent => {
                // A far end that has forgotten its sessions, after a restart say, may show it by nothing but silence.
                self.close_idle(&pool, Some(exchange.started), now);
                self.close_session(key, Closing::NotLentAgain, now);
            }
            LeaseEnd::Gone => self.close_session(key, Closing::Gone, now),
            LeaseEnd::Other => self.close_session(key, Closing::NotLentAgain, now),
        }
    }

    /// A lent session turned out to be lost before its request was sent: the request may try one other. Returns whether it does.
    pub(in crate::state) fn try_another(&mut self, key: Key, number: u64, now: Instant) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else { return false };
        let Some(pool) = session.pooled.as_ref().map(|pooled| pooled.pool.clone()) else { return false };
        let Some(exchange) = session.exchanges.get_mut(&number) else { return false };
        let Some(mut borrower) = exchange.borrower.take() else { return false };
        let (timer_at, stream) = (exchange.timer_at, exchange.stream);
        session.exchanges.remove(&number);
        session.streams.remove(&stream);
        self.timers.clear(timer_at, key, Due::Exchange(number));
        self.in_flight -= 1;
        self.metrics.exchanges_in_flight.dec();
        borrower.was_tried = true;
        self.enqueue(pool.clone(), *borrower, now);
        // The far end has most likely lost the others too: it was restarted, or they were idle for as long.
        self.close_idle(&pool, None, now);
        self.close_session(key, Closing::Gone, now);
        self.serve_waiting(now);
        true
    }

    /// The handshake of a session of the proxy's own has failed: whoever waited for it is told why.
    pub(super) fn fail_waiting(&mut self, pool: &PoolKey, failure: &Failure) {
        let of_pool = |state: &Self, initializing: bool| -> Vec<u64> {
            let waiting = state.pools.waiting.values();
            let waiting = waiting.filter(|waiter| {
                waiter.pool == *pool && (waiter.borrower.request.method() == "initialize") == initializing
            });
            waiting.map(|waiter| waiter.borrower.number).collect()
        };
        let still_opening = self.pools.by_key.get(pool).is_some_and(|pool| pool.opening > 0);
        if !still_opening {
            for number in of_pool(self, true) {
                if let Some((_, borrower)) = self.dequeue(number) {
                    self.answer_borrower(&borrower, failure.answer.clone(), failure.reason);
                }
            }
        }
        if let Some((_, borrower)) = of_pool(self, false).first().and_then(|number| self.dequeue(*number)) {
            let error = ErrorObject::new(code::INTERNAL_ERROR, &failure.message, failure.reason);
            self.answer_borrower(&borrower, Response::error(None, &error), failure.reason);
        }
    }

    /// A request waited for a session for as long as it may.
    pub(in crate::state) fn expire_waiter(&mut self, number: u64, now: Instant) {
        let Some((pool, borrower)) = self.dequeue(number) else { return };
        let message = format!(
            "no session to the server was free for {} s: the request was not sent",
            (now - borrower.since).as_secs_f64()
        );
        let error = ErrorObject::new(code::INTERNAL_ERROR, &message, "timeout");
        self.answer_borrower(&borrower, Response::error(None, &error), "timeout");
        self.pools.tidy(&pool);
    }

    /// Ends all that wait for a session, with the proxy.
    pub(in crate::state) fn end_waiting(&mut self, closing: Closing) {
        let numbers: Vec<u64> = self.pools.waiting.keys().copied().collect();
        for number in numbers {
            let Some((pool, borrower)) = self.dequeue(number) else { continue };
            let error = ErrorObject::new(code::INTERNAL_ERROR, closing.sentence(), closing.as_str());
            self.answer_borrower(&borrower, Response::error(None, &error), "session_closed");
            self.pools.tidy(&pool);
        }
    }

    /// Answers a request that never became an exchange.
    pub(super) fn answer_borrower(&self, borrower: &Borrower, answer: Response, outcome: &'static str) {
        let method = method_label(borrower.request.method());
        self.metrics.exchanges.get_or_create(&ExchangeLabels { method, outcome }).inc();
        borrower.stream.push(Kind::Answer, answer.readdressed(borrower.request.id()).into_text());
    }
}

/// How the exchange of a lent session ended, as far as the session's fate depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::state) enum LeaseEnd {
    /// With its answer.
    Answered,
    /// In silence.
    Silent,
    /// The far end does not know the session.
    Gone,
    /// Because the session is being closed.
    Closing,
    /// Otherwise: the far end may still be at it.
    Other,
}

impl Failure {
    /// Why a handshake failed that ended like this; `None` where it did not.
    pub(in crate::state) fn of(ending: &Ending<'_>, exchange: &Exchange) -> Option<Self> {
        let (message, reason) = match ending {
            Ending::Answered(response) if !response.is_error() => return None,
            Ending::Answered(response) => {
                let message =
                    "the server refused the session that the request needed; the request was not sent";
                return Some(Self {
                    answer: response.clone(),
                    message: message.into(),
                    reason: "handshake_failed",
                });
            }
            Ending::Cancelled(_) => return None,
            Ending::TimedOut { .. } => {
                let waited = exchange.timeouts.silence.as_secs_f64();
                (format!("nothing came from the server for {waited} s: the request was not sent"), "timeout")
            }
            Ending::Failed(error) => (error.to_string(), error.kind().as_str()),
            Ending::Closed(closing) => return Some(Self::closed(*closing)),
            Ending::Unsupported => (Ending::UNSUPPORTED.to_owned(), "unsupported_version"),
        };
        let error = ErrorObject::new(code::INTERNAL_ERROR, &message, reason);
        Some(Self { answer: Response::error(None, &error), message, reason })
    }

    /// The session was closed before its handshake was over.
    pub(super) fn closed(closing: Closing) -> Self {
        let (message, reason) = (closing.sentence(), closing.as_str());
        let error = ErrorObject::new(code::INTERNAL_ERROR, message, reason);
        Self { answer: Response::error(None, &error), message: message.to_owned(), reason }
    }
}
