//! One exchange: a client's request and all that comes back for it, up to its one end.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::{
    Key, Receipt, State,
    close::Closing,
    pool::{Borrower, Failure, LeaseEnd},
    session::Phase,
    stream::Kind,
    timers::Due,
};
use crate::{
    backend::Sent,
    config::Timeouts,
    error::{BackendError, Delivery, ErrorKind},
    id::WireId,
    message::{ErrorObject, Notification, ProgressToken, RequestId, Response, code},
    metrics::{ExchangeLabels, MethodLabel, ReasonLabel},
};

/// How many messages may come ahead of a missing one before that counts as lost.
const MAX_AHEAD: usize = 1024;

#[derive(Debug)]
pub(super) struct Exchange {
    /// The client's own id for it; `None` where the proxy itself asks.
    pub(super) client_id: Option<RequestId>,
    /// The client's own progress token for it.
    pub(super) token: Option<ProgressToken>,
    /// It asks to be run as a task.
    pub(super) is_task: bool,
    /// From its admission to its end, for traces.
    pub(super) span: tracing::Span,
    /// The method as a label.
    pub(super) method: &'static str,
    pub(super) is_initialize: bool,
    pub(super) stream: u64,
    pub(super) sending: Sending,
    pub(super) started: Instant,
    pub(super) last_heard: Instant,
    pub(super) timeouts: Timeouts,
    pub(super) ends_at: Instant,
    /// When its deadline is looked at next.
    pub(super) timer_at: Instant,
    /// Server requests of it that wait for the client.
    pub(super) asking: u32,
    /// The numbers of the messages that came for it, where the far end numbers them.
    pub(super) heard: Heard,
    /// The answer, while messages that were sent before it are missing.
    pub(super) held_answer: Option<HeldAnswer>,
    /// What may be tried in another session, while it is certain that the far end does not have it.
    pub(super) borrower: Option<Box<Borrower>>,
}

/// An answer that overtook what was sent before it.
#[derive(Debug)]
pub(super) struct HeldAnswer {
    pub(super) response: Response,
    /// How many messages the far end sent before it.
    pub(super) before: u64,
    /// Until when it is held.
    pub(super) until: Instant,
}

impl Exchange {
    /// Notes that a message came for it. Returns whether it is new, as far as its number tells.
    pub(super) fn hear(&mut self, sequence: Option<u64>, now: Instant) -> bool {
        self.last_heard = now;
        sequence.filter(|number| *number > 0).is_none_or(|number| self.heard.note(number))
    }
}

/// Which of an exchange's numbered messages came.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// All up to this one came, or were given up.
    through: u64,
    beyond: BTreeSet<u64>,
}

impl Heard {
    /// Notes the message with this number, from 1. Returns whether it is new.
    fn note(&mut self, number: u64) -> bool {
        if number <= self.through || !self.beyond.insert(number) {
            return false;
        }
        if self.beyond.len() > MAX_AHEAD {
            self.through = self.beyond.first().map_or(self.through, |first| first - 1);
        }
        while self.beyond.remove(&(self.through + 1)) {
            self.through += 1;
        }
        true
    }

    /// How many came.
    pub(super) fn count(&self) -> u64 {
        self.through + self.beyond.len() as u64
    }
}

/// How far the request's own send has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// It waits for the handshake.
    Held,
    /// It is under way.
    UnderWay,
    /// The transport has it.
    Done,
    /// The transport may have it.
    Maybe,
}

/// How an exchange ends.
#[derive(Debug)]
pub(super) enum Ending<'a> {
    /// With the far end's answer.
    Answered(Response),
    /// By the client's own wish, without an answer.
    Cancelled(Notification),
    /// By silence, or by its absolute limit.
    TimedOut { absolute: bool },
    /// Because the transport failed.
    Failed(&'a BackendError),
    /// With its session.
    Closed(Closing),
    /// Because the far end agreed on a revision that no client of ours can speak.
    Unsupported,
}

impl State {
    /// What became of a send.
    pub(crate) fn sent(
        &mut self,
        key: Key,
        receipt: Receipt,
        result: Result<Sent, BackendError>,
        now: Instant,
    ) {
        if let Err(error) = &result {
            self.metrics.send_failures.get_or_create(&ReasonLabel { reason: error.kind().as_str() }).inc();
        }
        if matches!(receipt, Receipt::Ours | Receipt::Probe) {
            self.outbox.own_sent();
        }
        let Some(session) = self.sessions.get_mut(&key) else {
            return self.departing_sent(key, receipt, result);
        };
        session.under_way = session.under_way.saturating_sub(1);
        let result = match result {
            Ok(sent) => {
                self.learn_session(key, sent.session, receipt == Receipt::Request(0));
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::SessionGone => {
                let exchange = match receipt {
                    Receipt::Request(number) => Some(number),
                    Receipt::Initialized | Receipt::Told | Receipt::Ours | Receipt::Probe => None,
                };
                if error.delivery() == Delivery::NotSent
                    && exchange.is_some_and(|number| self.try_another(key, number, now))
                {
                    return;
                }
                return self.lose_session(key, exchange, &error, now);
            }
            Err(error) => Err(error),
        };
        let Some(session) = self.sessions.get_mut(&key) else { return };
        match receipt {
            Receipt::Request(number) => self.request_sent(key, number, result, now),
            Receipt::Initialized => match result {
                Ok(()) => {
                    session.telling = session.telling.saturating_sub(1);
                    self.confirm(key, now);
                }
                Err(error) => {
                    tracing::warn!(error.r#type = error.kind().as_str(), %error, "a handshake could not be finished");
                    self.close_session(key, Closing::HandshakeFailed, now);
                }
            },
            Receipt::Told => session.telling = session.telling.saturating_sub(1),
            Receipt::Probe if result.is_err() => self.end_probe(key),
            Receipt::Ours | Receipt::Probe => {}
        }
    }

    fn request_sent(&mut self, key: Key, number: u64, result: Result<(), BackendError>, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let cancelled = session.cancelled_unsent.remove(&number);
        let sending = match result {
            Ok(()) => Sending::Done,
            Err(error) if error.delivery() == Delivery::MaybeSent => Sending::Maybe,
            Err(error) => return self.end_exchange(key, number, Ending::Failed(&error), now),
        };
        if let Some(exchange) = session.exchanges.get_mut(&number) {
            exchange.sending = sending;
            exchange.borrower = None;
        } else if let Some(cancellation) = cancelled {
            self.tell_cancelled(key, number, cancellation, now);
        }
    }

    /// The handshake is over: what waited for it goes out.
    fn confirm(&mut self, key: Key, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.phase = Phase::Open;
        for mut outgoing in std::mem::take(&mut session.held) {
            if let super::Outgoing::Send { receipt: Receipt::Request(number), outbound, .. } = &mut outgoing {
                // What the far end goes by may have become known meanwhile.
                outbound.remote = session.remote.clone();
                if let Some(exchange) = session.exchanges.get_mut(number) {
                    exchange.sending = Sending::UnderWay;
                }
            }
            session.post(outgoing, &mut self.outbox);
        }
        self.offer(key, now);
    }

    /// Ends an exchange, once: hands the client what it gets, frees everything, and tells the far end where it should stop.
    pub(super) fn end_exchange(&mut self, key: Key, number: u64, ending: Ending<'_>, now: Instant) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(mut exchange) = session.exchanges.remove(&number) else { return };
        self.timers.clear(exchange.timer_at, key, Due::Exchange(number));
        let held = exchange.held_answer.take();
        if let Some(held) = &held {
            self.timers.clear(held.until, key, Due::Held(number));
        }
        let ending = match (held, ending) {
            // The answer is there, so whatever ends the exchange ends only the waiting for what was sent before it.
            (Some(held), Ending::TimedOut { .. } | Ending::Failed(_) | Ending::Closed(_)) => {
                Ending::Answered(held.response)
            }
            (_, ending) => ending,
        };
        session.last_activity = now;
        self.in_flight -= 1;
        self.metrics.exchanges_in_flight.dec();
        let labels = ExchangeLabels { method: exchange.method, outcome: ending.outcome() };
        self.metrics.exchanges.get_or_create(&labels).inc();
        exchange.span.record("outcome", labels.outcome);
        if exchange.is_task
            && labels.outcome == "result"
            && session.pooled.is_none()
            && let Some(token) = exchange.token.clone()
        {
            session.keep_task_token(number, token);
        }
        self.metrics
            .exchange_duration
            .get_or_create(&MethodLabel { method: exchange.method })
            .observe((now - exchange.started).as_secs_f64());
        let lease_end = ending.lease_end();
        let failure = session.pooled.as_ref().and_then(|_| Failure::of(&ending, &exchange));
        let wire = session.wire_id(number);
        let stop = ending.cancellation(&wire).filter(|_| !exchange.is_initialize);
        if let Some(stream) = session.streams.get(&exchange.stream) {
            match (ending.answer(&exchange), &exchange.client_id) {
                (Some(answer), Some(_)) => {
                    stream.push(Kind::Answer, answer.into_text());
                }
                _ => stream.abandon_one(),
            }
            if session.pooled.is_some() {
                // It is the borrower's, and nothing can be resumed.
                session.streams.remove(&exchange.stream);
            } else if stream.is_complete() {
                session.retire_stream(exchange.stream, now, &mut self.timers);
            }
        }
        match (exchange.sending, stop) {
            (Sending::Held, _) => session.held.retain(|held| !held.is_request(number)),
            (Sending::UnderWay, Some(cancellation)) => {
                session.cancelled_unsent.insert(number, cancellation);
            }
            (Sending::Done | Sending::Maybe, Some(cancellation)) => {
                self.tell_cancelled(key, number, cancellation, now);
            }
            (_, None) => {}
        }
        if !exchange.is_initialize {
            self.end_lease(key, &exchange, lease_end, now);
        } else if !matches!(labels.outcome, "result" | "session_closed") {
            self.note_failure(key, failure);
            self.close_session(key, Closing::HandshakeFailed, now);
        }
    }

    /// Tells the far end that nobody waits for a request's answer any more.
    fn tell_cancelled(&mut self, key: Key, number: u64, cancellation: Notification, now: Instant) {
        let deadline = now + self.config.request_timeout;
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let outgoing =
            session.outgoing(cancellation.into(), Some(number), Receipt::Ours, deadline, &self.memory);
        session.post(outgoing, &mut self.outbox);
    }
}

impl Ending<'_> {
    /// What whoever asked is told of a revision that nobody here can speak.
    pub(super) const UNSUPPORTED: &'static str =
        "the server agreed on a protocol version that this proxy does not know";

    /// What it means for a session that was lent for the exchange.
    fn lease_end(&self) -> LeaseEnd {
        match self {
            Self::Answered(_) => LeaseEnd::Answered,
            Self::TimedOut { absolute: false } => LeaseEnd::Silent,
            Self::Failed(error) if error.kind() == ErrorKind::SessionGone => LeaseEnd::Gone,
            Self::Closed(_) => LeaseEnd::Closing,
            Self::TimedOut { absolute: true } | Self::Failed(_) | Self::Cancelled(_) | Self::Unsupported => {
                LeaseEnd::Other
            }
        }
    }

    /// The word for the `outcome` label.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Answered(response) if response.is_error() => "error",
            Self::Answered(_) => "result",
            Self::Cancelled(_) => "cancelled",
            Self::TimedOut { .. } => "timeout",
            Self::Failed(error) => error.kind().as_str(),
            Self::Closed(_) => "session_closed",
            Self::Unsupported => "unsupported_version",
        }
    }

    /// What tells the far end to stop, where it may still be at it.
    fn cancellation(&self, wire: &WireId) -> Option<Notification> {
        let wire = RequestId::string(wire.to_string());
        match self {
            Self::Cancelled(notification) => {
                let (_, span) = notification.cancelled_request().ok()?;
                Some(notification.clone().with_value(span, &wire.to_json()))
            }
            Self::TimedOut { .. } => {
                Some(Notification::cancelled(&wire, "no answer within the proxy's timeout"))
            }
            Self::Answered(_) | Self::Failed(_) | Self::Closed(_) | Self::Unsupported => None,
        }
    }

    /// What the client gets.
    fn answer(self, exchange: &Exchange) -> Option<Response> {
        let id = exchange.client_id.clone();
        let error = |message: &str, reason: &str| {
            Some(Response::error(id.clone(), &ErrorObject::new(code::INTERNAL_ERROR, message, reason)))
        };
        match self {
            Self::Answered(response) => Some(match &id {
                Some(id) => response.readdressed(id),
                None => response,
            }),
            Self::Cancelled(_) => None,
            Self::TimedOut { absolute } => {
                let ran = match exchange.sending {
                    Sending::Held => "it was not sent to the server",
                    Sending::UnderWay => "it was still being sent to the server, so it may run",
                    Sending::Done | Sending::Maybe if exchange.is_initialize => "initialize again",
                    Sending::Done => "the server was told to stop; it may have run",
                    Sending::Maybe => "the transport failed while it was sent, so it may have run",
                };
                let message = if absolute {
                    format!(
                        "the request took longer than {} s in all: {ran}",
                        exchange.timeouts.absolute.as_secs_f64()
                    )
                } else {
                    format!(
                        "nothing came from the server for {} s: {ran}",
                        exchange.timeouts.silence.as_secs_f64()
                    )
                };
                error(&message, "timeout")
            }
            Self::Failed(failure) => error(&failure.to_string(), failure.kind().as_str()),
            Self::Closed(closing) => error(closing.sentence(), closing.as_str()),
            Self::Unsupported => error(Self::UNSUPPORTED, "unsupported_version"),
        }
    }
}
