//! One stream of events to a client: a bounded log that readers follow with a cursor, so that a reader that went away can
//! come back to exactly where it was.

mod log;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

pub(crate) use self::log::Kind;
use self::log::Log;
use super::memory::Memory;
use crate::message::RequestId;

/// What the client's `Accept` allows its reply to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// JSON alone.
    Json,
    /// Server-sent events alone.
    EventStream,
    /// Whichever fits.
    Any,
}

/// One event for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// Names the stream and the event in it, for `Last-Event-ID`.
    pub id: String,
    /// The JSON-RPC message.
    pub text: String,
}

/// What a reply can be decided to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Every answer is there and nothing else: they leave whole.
    Whole(Vec<String>),
    /// It is a stream from here on.
    Stream,
}

/// How long an answered stream that its reader has seen to the end can still be replayed, and what decides when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remains {
    /// Nothing that could be asked for.
    Nothing,
    /// Only what a reader has already been given.
    Seen,
    /// Events that no reader has been given.
    Unseen,
}

/// What a stream took over from another.
#[derive(Debug, Default)]
pub(crate) struct Adopted {
    /// The server requests among it.
    pub(crate) requests: Vec<RequestId>,
    /// How many notifications had to go for it.
    pub(crate) dropped: u64,
}

#[derive(Debug)]
pub(crate) struct Stream {
    number: u64,
    log: Mutex<Log>,
}

impl Stream {
    /// The stream of a POST with this many requests.
    pub(crate) fn for_exchanges(number: u64, pending: usize, media: Media, memory: Arc<Memory>) -> Arc<Self> {
        Self::new(number, Some(pending), media, media == Media::EventStream, memory)
    }

    /// A session's standalone stream.
    pub(crate) fn standalone(number: u64, memory: Arc<Memory>) -> Arc<Self> {
        Self::new(number, None, Media::EventStream, true, memory)
    }

    fn new(
        number: u64,
        pending: Option<usize>,
        media: Media,
        streaming: bool,
        memory: Arc<Memory>,
    ) -> Arc<Self> {
        let log = Log::new(pending, media, streaming, memory);
        Arc::new(Self { number, log: Mutex::new(log) })
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Adds an event. Returns how many undelivered notifications had to go for it.
    pub(crate) fn push(&self, kind: Kind, text: String) -> u64 {
        let mut log = self.lock();
        if log.closed || (log.media == Media::Json && kind != Kind::Answer) {
            return u64::from(kind == Kind::Notification);
        }
        match kind {
            Kind::Answer => log.settle_one(),
            Kind::Notification | Kind::Request(_) => log.streaming = true,
        }
        let dropped = log.push(kind, text);
        log.wake();
        dropped
    }

    /// One of the answers will never come, by the client's own wish.
    pub(crate) fn abandon_one(&self) {
        let mut log = self.lock();
        log.settle_one();
        log.wake();
    }

    /// Takes over what another stream has not delivered.
    pub(crate) fn adopt(&self, other: &Stream) -> Adopted {
        let moved = other.lock().take_unread();
        let mut adopted = Adopted::default();
        for (kind, text) in moved {
            if let Kind::Request(id) = &kind {
                adopted.requests.push(id.clone());
            }
            adopted.dropped += self.push(kind, text);
        }
        adopted
    }

    /// Takes back a request of the server's that no reader was given. Returns whether it was still there.
    pub(crate) fn withdraw(&self, id: &RequestId) -> bool {
        let mut log = self.lock();
        let unread = log.unread;
        let position = log.entries.iter().position(|entry| {
            entry.number >= unread && matches!(&entry.kind, Kind::Request(other) if other == id)
        });
        match position {
            Some(position) => {
                log.remove(position);
                true
            }
            None => false,
        }
    }

    /// Gives up what was delivered, so that it cannot be replayed any more.
    pub(crate) fn forget_seen(&self) {
        let mut log = self.lock();
        while log.entries.front().is_some_and(|entry| entry.number < log.unread) {
            log.remove(0);
        }
    }

    /// Ends it: no events are taken any more, and readers end once they have had what is there.
    pub(crate) fn close(&self) {
        let mut log = self.lock();
        log.closed = true;
        log.wake();
    }

    /// Whether events other than answers can still leave on it.
    pub(crate) fn can_carry_events(&self) -> bool {
        let log = self.lock();
        log.media != Media::Json && !log.is_complete() && !log.closed
    }

    pub(crate) fn has_reader(&self) -> bool {
        self.lock().has_reader
    }

    pub(crate) fn has_unread(&self) -> bool {
        let log = self.lock();
        log.entries.back().is_some_and(|entry| entry.number >= log.unread)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.lock().is_complete()
    }

    /// What a resume could still be given of a complete stream.
    pub(crate) fn remains(&self) -> Remains {
        let log = self.lock();
        match (log.streaming, log.entries.back()) {
            (true, Some(last)) if last.number >= log.unread => Remains::Unseen,
            (true, Some(_)) => Remains::Seen,
            _ => Remains::Nothing,
        }
    }

    /// Decides what the reply is, as far as it can be decided; `must` decides for a stream where it is open.
    pub(crate) fn decide(&self, must: bool, context: Option<&mut Context<'_>>) -> Poll<Decision> {
        let mut log = self.lock();
        if !log.streaming && log.is_complete() {
            return Poll::Ready(Decision::Whole(log.take_all()));
        }
        if log.media != Media::Json && (log.streaming || must) {
            log.streaming = true;
            return Poll::Ready(Decision::Stream);
        }
        if let Some(context) = context {
            log.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Begins to read after the event with this number, or with the first undelivered one. The reader before ends.
    pub(crate) fn read(&self, after: Option<u64>) -> Cursor {
        let mut log = self.lock();
        log.generation += 1;
        log.has_reader = true;
        log.streaming = true;
        log.wake();
        let after = after.unwrap_or_else(|| log.unread.saturating_sub(1)).min(log.next - 1);
        Cursor { generation: log.generation, after }
    }

    /// Ends the reading of whoever reads now.
    pub(crate) fn displace_reader(&self) {
        let mut log = self.lock();
        log.generation += 1;
        log.has_reader = false;
        log.wake();
    }

    /// The next event for this reader; `None` once there will be none.
    pub(crate) fn poll(&self, cursor: &mut Cursor, context: &mut Context<'_>) -> Poll<Option<StreamEvent>> {
        let mut log = self.lock();
        if log.generation != cursor.generation {
            return Poll::Ready(None);
        }
        let position = log.entries.partition_point(|entry| entry.number <= cursor.after);
        if let Some(entry) = log.entries.get(position) {
            let (number, text) = (entry.number, entry.text.clone());
            cursor.after = number;
            log.unread = log.unread.max(number + 1);
            return Poll::Ready(Some(StreamEvent { id: event_id(self.number, number), text }));
        }
        if log.closed || log.is_complete() {
            return Poll::Ready(None);
        }
        log.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// The reader has gone. Returns whether it was the stream's newest.
    pub(crate) fn release(&self, cursor: &Cursor) -> bool {
        let mut log = self.lock();
        let newest = log.generation == cursor.generation;
        if newest {
            log.has_reader = false;
        }
        newest
    }

    /// Whether there is an event after the one with this number.
    pub(crate) fn has_after(&self, event: u64) -> bool {
        self.lock().entries.back().is_some_and(|entry| entry.number > event)
    }

    /// Whether an event with this number may ever have been given out.
    pub(crate) fn knows(&self, event: u64) -> bool {
        let log = self.lock();
        log.streaming && event < log.next
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a reader stands in a stream.
#[derive(Debug)]
pub(crate) struct Cursor {
    generation: u64,
    after: u64,
}

impl Cursor {
    /// The id of the event that the reader has had last; of the priming event where it has had none.
    pub(crate) fn event_id(&self, stream: u64) -> String {
        event_id(stream, self.after)
    }
}

/// `{stream}-{event}`: names the stream, so that a resume continues exactly that one (2025-11-25, basic/transports,
/// resumability).
fn event_id(stream: u64, event: u64) -> String {
    format!("{stream}-{event}")
}

/// Reads an event id back.
pub(crate) fn parse_event_id(text: &str) -> Option<(u64, u64)> {
    let (stream, event) = text.split_once('-')?;
    let parsed = (stream.parse().ok()?, event.parse().ok()?);
    (event_id(parsed.0, parsed.1) == text).then_some(parsed)
}
