//! One session: what it agreed, who it belongs to, its exchanges and its streams.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use tokio::time::Instant;

use super::{
    Key, Outgoing, REPLAY_TIME, Receipt,
    exchange::Exchange,
    memory::Memory,
    outbox::Outbox,
    pool::Pooled,
    probe::Probe,
    stream::{Remains, Stream},
    timers::{Due, Timers},
};
use crate::{
    backend::{Context, Outbound, Remote},
    id::{SessionId, WireId},
    message::{ClientCapabilities, Message, Notification, ProgressToken, RequestId},
    principal::Principal,
    version::ProtocolVersion,
};

/// The number of a session's standalone stream.
pub(super) const STANDALONE: u64 = 0;

/// The most answered streams that a session keeps for replay.
const MAX_FINISHED: usize = 64;

/// The most tasks whose progress a session passes on after the answers that announced them.
const MAX_TASKS: usize = 64;

/// The most ids of answered server requests that a session remembers, to tell duplicates.
const MAX_REMEMBERED: usize = 64;

/// How far the handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// `initialize` is in flight.
    Opening,
    /// It was answered.
    Answered,
    /// `notifications/initialized` is being sent; requests wait for that.
    Confirming,
    /// The handshake is over.
    Open,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) key: Key,
    pub(super) id: SessionId,
    pub(super) principal: Principal,
    pub(super) remote: Remote,
    pub(super) phase: Phase,
    pub(super) version: Option<ProtocolVersion>,
    pub(super) capabilities: ClientCapabilities,
    /// Counts the messages to the far end; a request's is also its wire id's.
    pub(super) next_number: u64,
    /// Boxed, since a map keeps room for eleven once it had one.
    pub(super) exchanges: BTreeMap<u64, Box<Exchange>>,
    /// Requests that wait for the handshake to be over.
    pub(super) held: Vec<Outgoing>,
    /// Requests that ended while their send was under way, and why: the far end is told once they are out.
    pub(super) cancelled_unsent: HashMap<u64, Notification>,
    /// Messages other than requests whose send is under way.
    pub(super) telling: usize,
    /// All messages that were put into the outbox and of which no report came yet.
    pub(super) under_way: usize,
    pub(super) streams: BTreeMap<u64, Arc<Stream>>,
    pub(super) next_stream: u64,
    /// Complete streams kept for replay, and until when.
    pub(super) finished: BTreeMap<u64, Instant>,
    pub(super) server_requests: HashMap<RequestId, ServerRequest>,
    pub(super) next_server_request: u64,
    /// Server requests that came lately and have their answer, or will have none.
    pub(super) answered: VecDeque<RequestId>,
    /// The progress tokens of requests that were answered with a task, which outlive their answers (2025-11-25,
    /// basic/utilities/tasks, progress); by the requests' numbers. When a task has ended is the far end's to know.
    pub(super) task_tokens: BTreeMap<u64, ProgressToken>,
    pub(super) last_activity: Instant,
    pub(super) idle_at: Instant,
    pub(super) taken_over_at: Option<Instant>,
    pub(super) probe: Option<Probe>,
    /// The far end is known to go by the proposed session id.
    pub(super) took_proposed: bool,
    /// Its place in its pool, where the proxy itself is the client.
    pub(super) pooled: Option<Pooled>,
}

/// A request of the server's that waits for the client.
#[derive(Debug, Clone)]
pub(super) struct ServerRequest {
    /// Names its deadline.
    pub(super) number: u64,
    /// The stream that it is on.
    pub(super) stream: u64,
    /// The exchange that it belongs to, as far as that can be told.
    pub(super) exchange: Option<u64>,
    pub(super) asked_at: Instant,
    pub(super) timer_at: Instant,
}

impl Session {
    pub(super) fn new(
        key: Key,
        id: SessionId,
        principal: Principal,
        remote: Remote,
        capabilities: ClientCapabilities,
        now: Instant,
    ) -> Self {
        Self {
            key,
            id,
            principal,
            remote,
            phase: Phase::Opening,
            version: None,
            capabilities,
            next_number: 0,
            exchanges: BTreeMap::new(),
            held: Vec::new(),
            cancelled_unsent: HashMap::new(),
            telling: 0,
            under_way: 0,
            streams: BTreeMap::new(),
            next_stream: STANDALONE + 1,
            finished: BTreeMap::new(),
            server_requests: HashMap::new(),
            next_server_request: 0,
            answered: VecDeque::new(),
            task_tokens: BTreeMap::new(),
            last_activity: now,
            idle_at: now,
            taken_over_at: None,
            probe: None,
            took_proposed: false,
            pooled: None,
        }
    }

    /// An open stream or an exchange in flight is activity.
    pub(super) fn is_active(&self) -> bool {
        !self.exchanges.is_empty() || self.streams.values().any(|stream| stream.has_reader())
    }

    /// Whether a request is a client's, and not the proxy's own `initialize`.
    pub(super) fn asks_for_client(&self, is_initialize: bool) -> bool {
        self.pooled.is_none() || !is_initialize
    }

    pub(super) fn wire_id(&self, number: u64) -> WireId {
        WireId::new(self.remote.route.clone(), number)
    }

    /// A message for the far end under the next number.
    pub(super) fn outbound(&mut self, message: Message, about: Option<u64>, deadline: Instant) -> Outbound {
        let number = self.next_number;
        self.next_number += 1;
        Outbound {
            remote: self.remote.clone(),
            about: about.map(|about| self.wire_id(about)),
            number,
            context: Context { version: self.version, deadline },
            message,
        }
    }

    /// The same, to be sent as `receipt` says.
    pub(super) fn outgoing(
        &mut self,
        message: Message,
        about: Option<u64>,
        receipt: Receipt,
        deadline: Instant,
        memory: &Arc<Memory>,
    ) -> Outgoing {
        let reserved = memory.reserve(message.as_str().len());
        let outbound = Box::new(self.outbound(message, about, deadline));
        Outgoing::Send { session: self.key, outbound, receipt, reserved }
    }

    /// Puts a message into the outbox.
    pub(super) fn post(&mut self, outgoing: Outgoing, outbox: &mut Outbox) {
        self.under_way += 1;
        outbox.push(outgoing);
    }

    /// A new stream for the answers to this many requests.
    pub(super) fn add_stream(&mut self, build: impl FnOnce(u64) -> Arc<Stream>) -> Arc<Stream> {
        let number = self.next_stream;
        self.next_stream += 1;
        let stream = build(number);
        self.streams.insert(number, Arc::clone(&stream));
        stream
    }

    /// The standalone stream; it exists from its first use on.
    pub(super) fn standalone(&mut self, memory: &Arc<Memory>) -> Arc<Stream> {
        let stream = self
            .streams
            .entry(STANDALONE)
            .or_insert_with(|| Stream::standalone(STANDALONE, Arc::clone(memory)));
        Arc::clone(stream)
    }

    /// The stream for a message of the server's, and the exchange that it seems to belong to: the related exchange's; else
    /// that of the only exchange in flight; else the open standalone one; else that of the newest exchange that can still
    /// carry events; else the standalone one, which keeps it for the next stream.
    pub(super) fn stream_for(
        &mut self,
        related: Option<u64>,
        memory: &Arc<Memory>,
    ) -> (Arc<Stream>, Option<u64>) {
        let of_exchange = |session: &Self, number: u64| {
            let exchange = session.exchanges.get(&number)?;
            session.streams.get(&exchange.stream).filter(|stream| stream.can_carry_events()).map(Arc::clone)
        };
        let related = related.filter(|number| self.exchanges.contains_key(number));
        let only = (self.exchanges.len() == 1).then(|| self.exchanges.keys().next().copied()).flatten();
        for number in [related, only].into_iter().flatten() {
            if let Some(stream) = of_exchange(self, number) {
                return (stream, Some(number));
            }
        }
        if let Some(stream) = self.streams.get(&STANDALONE).filter(|stream| stream.has_reader()) {
            return (Arc::clone(stream), related.or(only));
        }
        let newest =
            self.exchanges.keys().rev().copied().find_map(|number| {
                of_exchange(self, number).map(|stream| (stream, related.or(Some(number))))
            });
        newest.unwrap_or_else(|| (self.standalone(memory), related.or(only)))
    }

    /// Keeps a complete stream for replay where there is something to replay.
    pub(super) fn retire_stream(&mut self, number: u64, now: Instant, timers: &mut Timers) {
        let Some(stream) = self.streams.get(&number) else { return };
        if stream.remains() == Remains::Nothing {
            self.streams.remove(&number);
            return;
        }
        self.finished.insert(number, now);
        self.keep_stream(number, now, timers);
        if self.finished.len() > MAX_FINISHED {
            let seen = |number: &u64| {
                self.streams.get(number).is_none_or(|stream| stream.remains() != Remains::Unseen)
            };
            let oldest = || self.finished.keys().next().copied();
            if let Some(victim) = self.finished.keys().copied().find(seen).or_else(oldest) {
                self.forget_stream(victim, timers);
            }
        }
    }

    /// Keeps a complete stream from now on for as long as one is kept.
    pub(super) fn keep_stream(&mut self, number: u64, now: Instant, timers: &mut Timers) {
        if let Some(until) = self.finished.get_mut(&number) {
            timers.clear(*until, self.key, Due::Replay(number));
            *until = now + REPLAY_TIME;
            timers.set(*until, self.key, Due::Replay(number));
        }
    }

    /// Gives a complete stream up.
    pub(super) fn forget_stream(&mut self, number: u64, timers: &mut Timers) {
        self.streams.remove(&number);
        if let Some(until) = self.finished.remove(&number) {
            timers.clear(until, self.key, Due::Replay(number));
        }
    }

    /// Gives up what is only kept for replay and was delivered.
    pub(super) fn forget_seen(&mut self, timers: &mut Timers) {
        self.streams.values().for_each(|stream| stream.forget_seen());
        let empty: Vec<u64> = self
            .finished
            .keys()
            .copied()
            .filter(|number| self.streams.get(number).is_none_or(|stream| !stream.has_unread()))
            .collect();
        for number in empty {
            self.forget_stream(number, timers);
        }
    }

    /// These server requests are on another stream now.
    pub(super) fn move_server_requests(&mut self, ids: &[RequestId], to: u64) {
        for id in ids {
            if let Some(asked) = self.server_requests.get_mut(id) {
                asked.stream = to;
            }
        }
    }

    /// Whether a server request with this id came before.
    pub(super) fn knows_server_request(&self, id: &RequestId) -> bool {
        self.server_requests.contains_key(id) || self.answered.contains(id)
    }

    /// A server request has its answer, or will have none. The far end's silence counts anew: until now it was the client's.
    pub(super) fn forget_server_request(
        &mut self,
        id: &RequestId,
        now: Instant,
        timers: &mut Timers,
    ) -> Option<ServerRequest> {
        let asked = self.server_requests.remove(id)?;
        timers.clear(asked.timer_at, self.key, Due::ServerRequest(asked.number));
        if let Some(exchange) = asked.exchange.and_then(|number| self.exchanges.get_mut(&number)) {
            exchange.asking = exchange.asking.saturating_sub(1);
            exchange.last_heard = now;
        }
        self.remember_server_request(id.clone());
        Some(asked)
    }

    /// Keeps a request's progress token for the task that it was answered with.
    pub(super) fn keep_task_token(&mut self, number: u64, token: ProgressToken) {
        self.task_tokens.insert(number, token);
        if self.task_tokens.len() > MAX_TASKS {
            self.task_tokens.pop_first();
        }
    }

    /// Takes another server request with this id for a duplicate from now on.
    pub(super) fn remember_server_request(&mut self, id: RequestId) {
        self.answered.push_back(id);
        if self.answered.len() > MAX_REMEMBERED {
            self.answered.pop_front();
        }
    }
}
