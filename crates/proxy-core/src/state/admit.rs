//! What clients do: open a session, send messages, read streams, end it.

use std::{collections::HashSet, sync::Arc};

use tokio::time::Instant;

use super::{
    Key, Opened, Receipt, State, TAKEOVER_INTERVAL,
    close::Closing,
    exchange::{Ending, Exchange, Heard, Sending},
    session::{Phase, STANDALONE, Session},
    stream::{Cursor, Kind, Media, Stream, parse_event_id},
    timers::Due,
};
use crate::{
    backend::Remote,
    id::{RouteKey, SessionId},
    message::{ClientCapabilities, Message, Notification, ProgressToken, Request, RequestId, Response},
    metrics::method_label,
    principal::Principal,
    refusal::Refusal,
    version::ProtocolVersion,
};

/// How many sessions that have ended the backend may still be busy with, at least, while new ones are taken.
pub(super) const MAX_DEPARTING: usize = 1_000;

impl State {
    /// Opens a session with its `initialize` request.
    pub(crate) fn open(
        &mut self,
        caller: &Principal,
        request: Request,
        media: Media,
        now: Instant,
    ) -> Result<Opened, Refusal> {
        self.admit_more(now)?;
        if self.sessions.len() >= self.config.max_sessions
            || self.departing.len() >= self.config.max_sessions.max(MAX_DEPARTING)
        {
            return Err(Refusal::TooManySessions);
        }
        let asked = request.initialize_params()?;
        let request = match asked.version {
            (Some(_), _) => request,
            // Servers disagree about what they answer to a revision they do not know, so they are never asked for one.
            (None, _) => {
                request.with_param("protocolVersion", &format!("\"{}\"", ProtocolVersion::LATEST))?
            }
        };
        let token = request.progress_token()?.cloned();
        let key = self.add_session(caller, asked.capabilities, now);
        let memory = Arc::clone(&self.memory);
        let session = self.sessions.get_mut(&key).ok_or(Refusal::SessionNotFound)?;
        let id = session.id.clone();
        let stream = session.add_stream(|number| Stream::for_exchanges(number, 1, media, memory));
        if let Err(refusal) = self.begin(key, request, token, stream.number(), now, now) {
            self.close_session(key, Closing::HandshakeFailed, now);
            return Err(refusal);
        }
        Ok(Opened { key, session: id, stream })
    }

    /// A new session, of which the far end knows nothing yet.
    pub(super) fn add_session(
        &mut self,
        principal: &Principal,
        capabilities: ClientCapabilities,
        now: Instant,
    ) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        let route = RouteKey::random(&self.instance);
        let id = SessionId::random();
        let remote = Remote { route: route.clone(), peer: None };
        let mut session = Session::new(key, id.clone(), principal.clone(), remote, capabilities, now);
        session.idle_at = now + self.config.session_timeout;
        self.timers.set(session.idle_at, key, Due::Idle);
        self.sessions.insert(key, session);
        self.by_id.insert(id, key);
        self.by_route.insert(route, key);
        self.metrics.sessions.inc();
        key
    }

    /// Takes what a client sent in one go, all of it or nothing. Returns the stream of the answers, if there is something to
    /// answer.
    pub(crate) fn forward(
        &mut self,
        id: &SessionId,
        caller: &Principal,
        messages: Vec<Message>,
        media: Media,
        now: Instant,
    ) -> Result<Option<(Key, Arc<Stream>)>, Refusal> {
        let key = self.find(id, caller)?;
        let requests = messages.iter().filter(|message| matches!(message, Message::Request(_))).count();
        if requests > 0 {
            self.admit_more(now)?;
        }
        let tokens = self.check_admission(key, &messages, requests)?;
        let Some(session) = self.sessions.get_mut(&key) else { return Err(Refusal::SessionNotFound) };
        session.last_activity = now;
        let stream = (requests > 0).then(|| {
            let memory = Arc::clone(&self.memory);
            session.add_stream(|number| Stream::for_exchanges(number, requests, media, memory))
        });
        let mut tokens = tokens.into_iter();
        for message in messages {
            match (message, &stream) {
                (Message::Request(request), Some(stream)) => {
                    let token = tokens.next().flatten();
                    if request.method() == "ping" {
                        stream.push(Kind::Answer, Response::empty_result(request.id().clone()).into_text());
                    } else {
                        self.begin(key, request, token, stream.number(), now, now)?;
                    }
                }
                (Message::Request(_), None) => {}
                (Message::Notification(notification), _) => self.take_notification(key, notification, now),
                (Message::Response(response), _) => self.take_response(key, response, now),
            }
        }
        if let (Some(stream), Some(session)) = (&stream, self.sessions.get_mut(&key)) {
            if stream.is_complete() {
                session.retire_stream(stream.number(), now, &mut self.timers);
            } else if stream.can_carry_events()
                && let Some(kept) =
                    session.streams.get(&STANDALONE).filter(|kept| !kept.has_reader() && kept.has_unread())
            {
                let adopted = stream.adopt(kept);
                self.metrics.stream_dropped.inc_by(adopted.dropped);
                session.move_server_requests(&adopted.requests, stream.number());
            }
        }
        Ok(stream.map(|stream| (key, stream)))
    }

    /// Whether a new request or session may come in at all.
    pub(super) fn admit_more(&mut self, now: Instant) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        if self.outbox.is_full() || self.is_memory_full(now) {
            return Err(Refusal::OutOfMemory);
        }
        Ok(())
    }

    /// Checks all of a client's messages before any of them is taken. Returns the requests' progress tokens.
    fn check_admission(
        &self,
        key: Key,
        messages: &[Message],
        requests: usize,
    ) -> Result<Vec<Option<ProgressToken>>, Refusal> {
        let Some(session) = self.sessions.get(&key) else { return Err(Refusal::SessionNotFound) };
        if messages.len() > 1 && !session.version.is_some_and(ProtocolVersion::has_batches) {
            return Err(Refusal::InvalidRequest("batches are not part of the session's protocol version"));
        }
        let told = messages.len() - requests;
        // A cancelled request takes its place until its send is over, or a client could have any number sent at once.
        let taken = session.exchanges.len() + session.cancelled_unsent.len();
        if taken + requests > self.config.max_exchanges
            || session.telling + told > self.config.max_exchanges.max(told)
        {
            return Err(Refusal::TooManyExchanges);
        }
        let mut tokens = Vec::with_capacity(requests);
        let mut ids: HashSet<&RequestId> = HashSet::new();
        for message in messages {
            let Message::Request(request) = message else { continue };
            match request.method() {
                "initialize" => return Err(Refusal::InvalidRequest("the session is initialized already")),
                "ping" => {}
                _ if session.phase == Phase::Opening => {
                    return Err(Refusal::InvalidRequest("the session is not initialized yet"));
                }
                _ => {}
            }
            if session.exchanges.values().any(|exchange| exchange.client_id.as_ref() == Some(request.id()))
                || (messages.len() > 1 && !ids.insert(request.id()))
            {
                return Err(Refusal::InvalidRequest("a request with this id is in flight already"));
            }
            tokens.push(request.progress_token()?.cloned());
        }
        Ok(tokens)
    }

    /// Registers the exchange of a request that was admitted at `since`, and then has it sent.
    pub(super) fn begin(
        &mut self,
        key: Key,
        request: Request,
        token: Option<ProgressToken>,
        stream: u64,
        since: Instant,
        now: Instant,
    ) -> Result<(), Refusal> {
        let timeouts = self.config.timeouts(request.tool_name());
        let Some(session) = self.sessions.get_mut(&key) else { return Err(Refusal::SessionNotFound) };
        let number = session.next_number;
        let wire = session.wire_id(number).to_string();
        let wire_token = token.is_some().then(|| ProgressToken::string(wire.clone()));
        let is_initialize = request.method() == "initialize";
        let is_held = session.phase == Phase::Confirming;
        let ends_at = since + timeouts.absolute;
        let timer_at = (now + timeouts.silence).min(ends_at);
        let exchange = Exchange {
            client_id: session.asks_for_client(is_initialize).then(|| request.id().clone()),
            token,
            is_task: request.is_task(),
            span: tracing::debug_span!(
                "exchange",
                mcp.method.name = method_label(request.method()),
                outcome = tracing::field::Empty
            ),
            method: method_label(request.method()),
            is_initialize,
            stream,
            sending: if is_held { Sending::Held } else { Sending::UnderWay },
            started: since,
            last_heard: now,
            timeouts,
            ends_at,
            timer_at,
            asking: 0,
            heard: Heard::default(),
            held_answer: None,
            borrower: None,
        };
        let message = request.readdressed(RequestId::string(wire), wire_token.as_ref())?;
        let deadline = now + timeouts.silence;
        let receipt = Receipt::Request(number);
        let outgoing = session.outgoing(message.into(), Some(number), receipt, deadline, &self.memory);
        session.exchanges.insert(number, Box::new(exchange));
        if is_held {
            session.held.push(outgoing);
        } else {
            session.post(outgoing, &mut self.outbox);
        }
        self.timers.set(timer_at, key, Due::Exchange(number));
        self.in_flight += 1;
        self.metrics.exchanges_in_flight.inc();
        Ok(())
    }

    fn take_notification(&mut self, key: Key, notification: Notification, now: Instant) {
        match notification.method() {
            "notifications/cancelled" => self.cancel(key, notification, now),
            "notifications/initialized" => self.finish_handshake(key, notification, now),
            _ => self.tell(key, notification.into(), None, Receipt::Told, now),
        }
    }

    /// Cancels the exchange that the client names by its own id. What it cannot mean is ignored (2025-11-25,
    /// basic/utilities/cancellation).
    fn cancel(&mut self, key: Key, notification: Notification, now: Instant) {
        let Some(session) = self.sessions.get(&key) else { return };
        let Ok((id, _)) = notification.cancelled_request() else {
            return self.metrics.discard("malformed_cancellation");
        };
        let found = session.exchanges.iter().find(|(_, exchange)| exchange.client_id.as_ref() == Some(&id));
        match found {
            Some((number, exchange)) if !exchange.is_initialize => {
                let number = *number;
                self.end_exchange(key, number, Ending::Cancelled(notification), now);
            }
            _ => self.metrics.discard("cancellation_of_unknown"),
        }
    }

    pub(super) fn finish_handshake(&mut self, key: Key, notification: Notification, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.phase != Phase::Answered {
            return self.metrics.discard("unexpected_initialized");
        }
        session.phase = Phase::Confirming;
        self.tell(key, notification.into(), None, Receipt::Initialized, now);
    }

    /// The client's answer to a request of the server's.
    fn take_response(&mut self, key: Key, response: Response, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let answered = response.id().cloned().and_then(|id| {
            session.forget_server_request(&id, now, &mut self.timers).map(|asked| (id, asked))
        });
        let Some((id, asked)) = answered else {
            return self.metrics.discard("answer_to_unknown_server_request");
        };
        if let Some(stream) = session.streams.get(&asked.stream) {
            stream.withdraw(&id);
        }
        self.tell(key, response.into(), asked.exchange, Receipt::Told, now);
    }

    fn tell(&mut self, key: Key, message: Message, about: Option<u64>, receipt: Receipt, now: Instant) {
        let deadline = now + self.config.request_timeout;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.telling += 1;
        let outgoing = session.outgoing(message, about, receipt, deadline, &self.memory);
        session.post(outgoing, &mut self.outbox);
    }

    /// The revision that the session agreed on; the one to assume while that is not known.
    pub(crate) fn version(&self, id: &SessionId, caller: &Principal) -> Result<ProtocolVersion, Refusal> {
        let key = self.find(id, caller)?;
        Ok(self.sessions.get(&key).and_then(|session| session.version).unwrap_or(ProtocolVersion::ASSUMED))
    }

    /// Opens the standalone stream, or takes it over.
    pub(crate) fn listen(
        &mut self,
        id: &SessionId,
        caller: &Principal,
        now: Instant,
    ) -> Result<Reading, Refusal> {
        self.read_standalone(id, caller, None, now)
    }

    /// Continues the stream that an event id names. `None`: it is complete and nothing of it is left.
    pub(crate) fn resume(
        &mut self,
        id: &SessionId,
        caller: &Principal,
        last_event: &str,
        now: Instant,
    ) -> Result<Option<Reading>, Refusal> {
        let (number, event) = parse_event_id(last_event).ok_or(Refusal::UnknownEvent)?;
        let key = self.find(id, caller)?;
        let Self { sessions, timers, .. } = self;
        let session = sessions.get_mut(&key).ok_or(Refusal::SessionNotFound)?;
        session.last_activity = now;
        let stream = session.streams.get(&number).map(Arc::clone).filter(|stream| stream.knows(event));
        let stream = stream.ok_or(Refusal::UnknownEvent)?;
        if number == STANDALONE {
            return self.read_standalone(id, caller, Some(event), now).map(Some);
        }
        if stream.is_complete() && !stream.has_after(event) {
            session.forget_stream(number, timers);
            return Ok(None);
        }
        let cursor = stream.read(Some(event));
        Ok(Some(Reading { session: key, stream, cursor }))
    }

    fn read_standalone(
        &mut self,
        id: &SessionId,
        caller: &Principal,
        after: Option<u64>,
        now: Instant,
    ) -> Result<Reading, Refusal> {
        let memory = Arc::clone(&self.memory);
        let draining = self.draining;
        let (key, session) = self.session(id, caller)?;
        if draining {
            return Err(Refusal::Draining);
        }
        session.last_activity = now;
        let stream = session.standalone(&memory);
        if stream.has_reader() {
            let allowed_at = session.taken_over_at.map(|at| at + TAKEOVER_INTERVAL);
            if let Some(allowed_at) = allowed_at.filter(|at| *at > now) {
                return Err(Refusal::StreamTakenOver { retry_after: allowed_at - now });
            }
            session.taken_over_at = Some(now);
        }
        let cursor = stream.read(after);
        Ok(Reading { session: key, stream, cursor })
    }

    /// A reader of one of the session's streams has gone.
    pub(crate) fn stopped_reading(&mut self, key: Key, stream: u64, now: Instant) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.last_activity = now;
            session.keep_stream(stream, now, &mut self.timers);
        }
    }

    /// Ends a session by its client's wish.
    pub(crate) fn end(&mut self, id: &SessionId, caller: &Principal, now: Instant) -> Result<(), Refusal> {
        let key = self.find(id, caller)?;
        self.close_session(key, Closing::Ended, now);
        Ok(())
    }

    /// Takes nothing new any more, and ends the standalone streams.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        for stream in self.sessions.values().filter_map(|session| session.streams.get(&STANDALONE)) {
            stream.displace_reader();
        }
    }
}

/// A reader of a stream, as the state hands it out.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) session: Key,
    pub(crate) stream: Arc<Stream>,
    pub(crate) cursor: Cursor,
}
