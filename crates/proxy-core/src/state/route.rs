//! What the far end sends: whose it is, and where it goes.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    HOLD_TIME, Key, Receipt, State,
    exchange::{Ending, HeldAnswer},
    session::{Phase, ServerRequest},
    stream::Kind,
    timers::Due,
};
use crate::{
    backend::{Disposition, Event, Inbound, Peer},
    error::{BackendError, ErrorKind},
    id::{RemoteSession, RouteKey, WireId},
    message::{ErrorObject, Notification, ProgressToken, Request, RequestId, Response, code},
};

/// The id under which asyncmcp servers report an error that belongs to no request they could read.
const SERVER_ERROR_ID: &str = "server-error";

/// What is known about a received message beside the message itself.
struct Envelope {
    key: Key,
    related: Option<u64>,
    sequence: Option<u64>,
}

/// Whose a received message claims to be.
#[derive(Clone, Copy)]
struct Origin<'inbound> {
    /// The path that its envelope names.
    route: Option<&'inbound RouteKey>,
    /// The far end's own session that it names.
    session: Option<&'inbound RemoteSession>,
}

impl State {
    /// Finds out whose a received message is and hands it over.
    pub(crate) fn route(&mut self, inbound: Inbound, now: Instant) -> Disposition {
        use crate::message::Message;
        let Inbound { route, peer, related, sequence, event, .. } = inbound;
        let named = peer.as_ref().and_then(|peer| peer.session.clone());
        let from = Origin { route: route.as_ref(), session: named.as_ref() };
        match event {
            Event::Message(Message::Response(response)) => match wire_id(response.id()) {
                Some(wire) => self.route_answer(&wire, from, response, peer, sequence, now),
                None => self.route_stray_answer(from, &response, now),
            },
            Event::Message(Message::Notification(notification))
                if notification.method() == "notifications/progress" =>
            {
                self.route_progress(from, notification, sequence, now)
            }
            Event::Message(Message::Notification(notification)) => {
                match self.envelope(from, related.as_ref(), sequence) {
                    Ok(envelope) => self.route_notification(&envelope, notification, now),
                    Err(disposition) => disposition,
                }
            }
            Event::Message(Message::Request(request)) => {
                match self.envelope(from, related.as_ref(), sequence) {
                    Ok(envelope) => self.route_request(&envelope, request, now),
                    Err(disposition) => disposition,
                }
            }
            Event::ExchangeFailed(wire, error) => self.route_failure(from, wire.as_ref(), &error, now),
            // what is in flight ends with what the far end says of it: why the session is gone, and whether something may have run
            Event::SessionGone(error) => self.route_failure(from, None, &error, now),
        }
    }

    /// The session that a message's envelope names.
    fn envelope(
        &mut self,
        from: Origin<'_>,
        related: Option<&WireId>,
        sequence: Option<u64>,
    ) -> Result<Envelope, Disposition> {
        let route =
            from.route.filter(|route| route.belongs_to(&self.instance)).ok_or(Disposition::Foreign)?;
        let Some(key) = self.by_route.get(route).copied() else {
            self.metrics.discard("unknown_session");
            return Err(Disposition::Unroutable);
        };
        self.check_session(key, from)?;
        self.end_probe(key);
        let related = related.filter(|wire| wire.route() == route).map(WireId::number);
        Ok(Envelope { key, related, sequence })
    }

    /// The exchange that a wire id names. The envelope's route, where there is one, must be the same.
    fn exchange_of(&mut self, wire: &WireId, from: Origin<'_>) -> Result<(Key, u64), Disposition> {
        if !wire.route().belongs_to(&self.instance) {
            return Err(Disposition::Foreign);
        }
        if from.route.is_some_and(|route| route != wire.route()) {
            self.metrics.discard("contradictory_envelope");
            return Err(Disposition::Unroutable);
        }
        let Some(key) = self.by_route.get(wire.route()).copied() else {
            self.metrics.discard("unknown_session");
            return Err(Disposition::Unroutable);
        };
        self.check_session(key, from)?;
        self.end_probe(key);
        Ok((key, wire.number()))
    }

    /// Whether the session of the far end's that a message names, if it names one, can be this one.
    fn check_session(&self, key: Key, from: Origin<'_>) -> Result<(), Disposition> {
        if self.is_from(key, from.session) {
            return Ok(());
        }
        self.metrics.discard("wrong_session");
        Err(Disposition::Unroutable)
    }

    fn route_answer(
        &mut self,
        wire: &WireId,
        from: Origin<'_>,
        response: Response,
        peer: Option<Peer>,
        sequence: Option<u64>,
        now: Instant,
    ) -> Disposition {
        let (key, number) = match self.exchange_of(wire, from) {
            Ok(found) => found,
            Err(disposition) => return disposition,
        };
        if self.is_probe(key, number) {
            return Disposition::Accepted;
        }
        let Some(session) = self.sessions.get_mut(&key) else { return Disposition::Unroutable };
        let Some(exchange) = session.exchanges.get_mut(&number) else {
            self.metrics.discard("late_or_duplicate_answer");
            return Disposition::Unroutable;
        };
        if exchange.held_answer.is_some() {
            self.metrics.discard("late_or_duplicate_answer");
            return Disposition::Accepted;
        }
        if let Some(before) =
            sequence.filter(|before| !exchange.is_initialize && exchange.heard.count() < *before)
        {
            let until = now + HOLD_TIME;
            exchange.held_answer = Some(HeldAnswer { response, before, until });
            self.timers.set(until, key, Due::Held(number));
            return Disposition::Accepted;
        }
        if exchange.is_initialize {
            self.learn_peer(key, peer, from.route.is_some());
            self.finish_initialize(key, number, response, now);
        } else {
            self.end_exchange(key, number, Ending::Answered(response), now);
        }
        Disposition::Accepted
    }

    /// The time that an answer was held for is over.
    pub(super) fn release_held(&mut self, key: Key, number: u64, now: Instant) {
        let exchange = self.sessions.get_mut(&key).and_then(|session| session.exchanges.get_mut(&number));
        if let Some(held) = exchange.and_then(|exchange| exchange.held_answer.take()) {
            self.metrics.discard("missing_before_answer");
            self.end_exchange(key, number, Ending::Answered(held.response), now);
        }
    }

    fn finish_initialize(&mut self, key: Key, number: u64, response: Response, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if response.is_error() {
            return self.end_exchange(key, number, Ending::Answered(response), now);
        }
        match response.negotiated_version() {
            Some(version) => {
                session.version = Some(version);
                session.phase = Phase::Answered;
                let result = session.pooled.as_ref().and_then(|_| response.result().map(str::to_owned));
                self.end_exchange(key, number, Ending::Answered(response), now);
                if let Some(result) = result {
                    self.finish_pooled(key, &result, now);
                }
            }
            None => self.end_exchange(key, number, Ending::Unsupported, now),
        }
    }

    /// An error that names no request of ours: with one exchange in flight it ends that one; with more nobody can tell.
    fn route_stray_answer(&mut self, from: Origin<'_>, response: &Response, now: Instant) -> Disposition {
        let envelope = match self.envelope(from, None, None) {
            Ok(envelope) => envelope,
            Err(disposition) => return disposition,
        };
        let about_session =
            response.is_error() && response.id().is_none_or(|id| id.as_string() == Some(SERVER_ERROR_ID));
        let only = self.sessions.get(&envelope.key).and_then(|session| match session.exchanges.len() {
            // In a lent session it may be about an earlier borrower's request.
            1 if session.pooled.is_none() => session.exchanges.keys().next().copied(),
            _ => None,
        });
        match only {
            Some(number) if about_session => {
                self.end_exchange(envelope.key, number, Ending::Answered(response.clone()), now);
                Disposition::Accepted
            }
            _ => {
                self.metrics.discard("answer_without_our_id");
                Disposition::Unroutable
            }
        }
    }

    /// Progress belongs to the exchange whose token it carries, and to nobody else.
    fn route_progress(
        &mut self,
        from: Origin<'_>,
        notification: Notification,
        sequence: Option<u64>,
        now: Instant,
    ) -> Disposition {
        let Ok((token, span)) = notification.progress() else {
            self.metrics.discard("malformed_progress");
            return Disposition::Unroutable;
        };
        let Some(wire) = token.as_string().and_then(|text| WireId::parse(text).ok()) else {
            return match self.envelope(from, None, None) {
                Ok(_) => {
                    self.metrics.discard("unknown_progress_token");
                    Disposition::Unroutable
                }
                Err(disposition) => disposition,
            };
        };
        let (key, number) = match self.exchange_of(&wire, from) {
            Ok(found) => found,
            Err(disposition) => return disposition,
        };
        let full = self.is_memory_full(now);
        let Some(session) = self.sessions.get_mut(&key) else { return Disposition::Unroutable };
        let Some(exchange) = session.exchanges.get_mut(&number) else {
            let Some(token) = session.task_tokens.get(&number).map(ProgressToken::to_json) else {
                self.metrics.discard("late_progress");
                return Disposition::Unroutable;
            };
            if full {
                return Disposition::Busy;
            }
            // Of a task whose request has its answer already: like any message that belongs to no request.
            let (stream, _) = session.stream_for(None, &self.memory);
            let restored = notification.with_value(span, &token).into_text();
            self.metrics.stream_dropped.inc_by(stream.push(Kind::Notification, restored));
            return Disposition::Accepted;
        };
        if full {
            return Disposition::Busy;
        }
        if !exchange.hear(sequence, now) {
            self.metrics.discard("duplicate_notification");
            return Disposition::Accepted;
        }
        let Some(token) = &exchange.token else {
            self.metrics.discard("unknown_progress_token");
            self.answer_if_all_heard(key, number, now);
            return Disposition::Unroutable;
        };
        let restored = notification.with_value(span, &token.to_json());
        if let Some(stream) = session.streams.get(&exchange.stream) {
            self.metrics.stream_dropped.inc_by(stream.push(Kind::Notification, restored.into_text()));
        }
        self.answer_if_all_heard(key, number, now);
        Disposition::Accepted
    }

    fn route_notification(
        &mut self,
        envelope: &Envelope,
        notification: Notification,
        now: Instant,
    ) -> Disposition {
        if self.is_memory_full(now) {
            return Disposition::Busy;
        }
        if !self.hear(envelope, now) {
            self.metrics.discard("duplicate_notification");
            return Disposition::Accepted;
        }
        let disposition = if notification.method() == "notifications/cancelled" {
            self.withdraw_server_request(envelope.key, notification, now)
        } else {
            self.pass_notification(envelope, notification, now)
        };
        if let Some(number) = envelope.related {
            self.answer_if_all_heard(envelope.key, number, now);
        }
        disposition
    }

    fn pass_notification(
        &mut self,
        envelope: &Envelope,
        notification: Notification,
        now: Instant,
    ) -> Disposition {
        let Some(session) = self.sessions.get_mut(&envelope.key) else { return Disposition::Unroutable };
        if session.pooled.is_some()
            && envelope.related.is_none_or(|number| !session.exchanges.contains_key(&number))
        {
            self.metrics.discard("unrelated_in_pool");
            return Disposition::Unroutable;
        }
        let (stream, exchange) = session.stream_for(envelope.related, &self.memory);
        if let Some(exchange) = exchange.and_then(|number| session.exchanges.get_mut(&number)) {
            exchange.last_heard = now;
        }
        self.metrics.stream_dropped.inc_by(stream.push(Kind::Notification, notification.into_text()));
        Disposition::Accepted
    }

    /// The server gives up a request of its own: it goes where the request went, if that has left already.
    fn withdraw_server_request(&mut self, key: Key, cancelled: Notification, now: Instant) -> Disposition {
        let Some(session) = self.sessions.get_mut(&key) else { return Disposition::Unroutable };
        let asked = cancelled.cancelled_request().ok().and_then(|(id, _)| {
            session.forget_server_request(&id, now, &mut self.timers).map(|asked| (id, asked))
        });
        let Some((id, asked)) = asked else {
            self.metrics.discard("cancellation_of_unknown");
            return Disposition::Unroutable;
        };
        let stream = session.streams.get(&asked.stream).map(Arc::clone);
        if stream.as_ref().is_some_and(|stream| stream.withdraw(&id)) {
            return Disposition::Accepted;
        }
        let stream = stream
            .filter(|stream| stream.can_carry_events())
            .unwrap_or_else(|| session.stream_for(None, &self.memory).0);
        self.metrics.stream_dropped.inc_by(stream.push(Kind::Notification, cancelled.into_text()));
        Disposition::Accepted
    }

    fn route_request(&mut self, envelope: &Envelope, request: Request, now: Instant) -> Disposition {
        if self.outbox.is_full() || self.is_memory_full(now) {
            return Disposition::Busy;
        }
        let Some(session) = self.sessions.get_mut(&envelope.key) else { return Disposition::Unroutable };
        if session.knows_server_request(request.id()) {
            self.metrics.discard("duplicate_server_request");
            return Disposition::Accepted;
        }
        self.hear(envelope, now);
        self.take_server_request(envelope, request, now);
        if let Some(number) = envelope.related {
            self.answer_if_all_heard(envelope.key, number, now);
        }
        Disposition::Accepted
    }

    /// Answers a new request of the server's, or asks the client.
    fn take_server_request(&mut self, envelope: &Envelope, request: Request, now: Instant) {
        let key = envelope.key;
        let deadline = now + self.config.request_timeout;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let id = request.id().clone();
        if request.method() == "ping" {
            session.remember_server_request(id.clone());
            let outgoing = session.outgoing(
                Response::empty_result(id).into(),
                None,
                Receipt::Ours,
                deadline,
                &self.memory,
            );
            return session.post(outgoing, &mut self.outbox);
        }
        if session.pooled.is_some() || !session.capabilities.allow(&request) {
            session.remember_server_request(id.clone());
            let error = ErrorObject::new(
                code::METHOD_NOT_FOUND,
                "the client did not declare this capability",
                "undeclared_capability",
            );
            return self.answer_server_request(key, id, &error, now);
        }
        if session.server_requests.len() >= self.config.max_exchanges {
            session.remember_server_request(id.clone());
            let message = "the client has too many requests to answer";
            return self.refuse_server_request(key, id, message, "too_many_server_requests", now);
        }
        let (stream, exchange) = session.stream_for(envelope.related, &self.memory);
        let number = session.next_server_request;
        session.next_server_request += 1;
        if let Some(exchange) = exchange.and_then(|number| session.exchanges.get_mut(&number)) {
            exchange.last_heard = now;
            exchange.asking += 1;
        }
        let asked =
            ServerRequest { number, stream: stream.number(), exchange, asked_at: now, timer_at: deadline };
        session.server_requests.insert(id.clone(), asked);
        self.timers.set(deadline, key, Due::ServerRequest(number));
        self.metrics.stream_dropped.inc_by(stream.push(Kind::Request(id), request.into_text()));
    }

    /// Notes that a message came for the exchange that it is related to. Returns whether it is new, as far as its number tells.
    fn hear(&mut self, envelope: &Envelope, now: Instant) -> bool {
        let session = self.sessions.get_mut(&envelope.key);
        let exchange =
            session.zip(envelope.related).and_then(|(session, number)| session.exchanges.get_mut(&number));
        exchange.is_none_or(|exchange| exchange.hear(envelope.sequence, now))
    }

    /// Hands over an answer that was held back for what has now come.
    fn answer_if_all_heard(&mut self, key: Key, number: u64, now: Instant) {
        let Some(exchange) =
            self.sessions.get_mut(&key).and_then(|session| session.exchanges.get_mut(&number))
        else {
            return;
        };
        let heard = exchange.heard.count();
        let Some(held) = exchange.held_answer.take_if(|held| heard >= held.before) else { return };
        self.timers.clear(held.until, key, Due::Held(number));
        self.end_exchange(key, number, Ending::Answered(held.response), now);
    }

    fn route_failure(
        &mut self,
        from: Origin<'_>,
        wire: Option<&WireId>,
        error: &BackendError,
        now: Instant,
    ) -> Disposition {
        let (key, numbers) = match wire {
            Some(wire) => match self.exchange_of(wire, from) {
                Ok((key, number)) => (key, vec![number]),
                Err(disposition) => return disposition,
            },
            None => match self.envelope(from, None, None) {
                Ok(envelope) => {
                    let session = self.sessions.get(&envelope.key);
                    (
                        envelope.key,
                        session
                            .map(|session| session.exchanges.keys().copied().collect())
                            .unwrap_or_default(),
                    )
                }
                Err(disposition) => return disposition,
            },
        };
        for number in numbers {
            self.end_exchange(key, number, Ending::Failed(error), now);
        }
        if error.kind() == ErrorKind::SessionGone {
            self.lose_session(key, None, error, now);
        }
        Disposition::Accepted
    }
}

fn wire_id(id: Option<&RequestId>) -> Option<WireId> {
    id.and_then(RequestId::as_string).and_then(|text| WireId::parse(text).ok())
}
