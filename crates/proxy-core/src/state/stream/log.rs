//! The events of one stream, bounded in number and size.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use super::{super::memory::Memory, Media};
use crate::message::RequestId;

/// The most events that one stream keeps.
const MAX_EVENTS: usize = 512;

/// The most bytes of events that one stream keeps; a newest event that is larger is kept alone.
const MAX_BYTES: usize = 1024 * 1024;

/// What an event is, which decides whether it may be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Notification,
    /// A request of the server's, under the server's id.
    Request(RequestId),
    Answer,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) memory: Arc<Memory>,
    pub(super) media: Media,
    /// Whether events have left, or can leave only as server-sent events, so that their ids are or will be known to the client.
    pub(super) streaming: bool,
    pub(super) entries: VecDeque<Entry>,
    pub(super) bytes: usize,
    /// The number of the next event; 0 is the priming event's.
    pub(super) next: u64,
    /// The first event that no reader has been given.
    pub(super) unread: u64,
    /// The answers that are still to come; `None` on a standalone stream, which never completes.
    pub(super) pending: Option<usize>,
    pub(super) closed: bool,
    /// Counts the readers that the stream has had; only the newest is given events.
    pub(super) generation: u64,
    pub(super) has_reader: bool,
    pub(super) waker: Option<Waker>,
    pub(super) dropped: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) text: String,
}

impl Log {
    pub(super) fn new(pending: Option<usize>, media: Media, streaming: bool, memory: Arc<Memory>) -> Self {
        Self {
            memory,
            media,
            streaming,
            entries: VecDeque::new(),
            bytes: 0,
            next: 1,
            unread: 1,
            pending,
            closed: false,
            generation: 0,
            has_reader: false,
            waker: None,
            dropped: 0,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.pending == Some(0)
    }

    pub(super) fn settle_one(&mut self) {
        if let Some(pending) = &mut self.pending {
            *pending = pending.saturating_sub(1);
        }
    }

    pub(super) fn push(&mut self, kind: Kind, text: String) -> u64 {
        self.bytes += text.len();
        self.memory.add(text.len());
        self.entries.push_back(Entry { number: self.next, kind, text });
        self.next += 1;
        let dropped_before = self.dropped;
        while (self.entries.len() > MAX_EVENTS || self.bytes > MAX_BYTES) && self.drop_oldest() {}
        self.dropped - dropped_before
    }

    /// Drops the oldest event that may go: one that was delivered, else a notification; never the newest.
    fn drop_oldest(&mut self) -> bool {
        let candidates = self.entries.len().saturating_sub(1);
        let position = self
            .entries
            .iter()
            .take(candidates)
            .position(|entry| entry.number < self.unread || entry.kind == Kind::Notification);
        let Some(position) = position else { return false };
        if self.entries[position].number >= self.unread {
            self.dropped += 1;
        }
        self.remove(position);
        true
    }

    pub(super) fn remove(&mut self, position: usize) {
        if let Some(entry) = self.entries.remove(position) {
            self.forget(entry.text.len());
        }
    }

    pub(super) fn take_unread(&mut self) -> Vec<(Kind, String)> {
        let start = self.entries.partition_point(|entry| entry.number < self.unread);
        let taken: Vec<_> = self.entries.drain(start..).map(|entry| (entry.kind, entry.text)).collect();
        self.forget(taken.iter().map(|(_, text)| text.len()).sum());
        taken
    }

    pub(super) fn take_all(&mut self) -> Vec<String> {
        self.unread = self.next;
        let taken: Vec<String> = self.entries.drain(..).map(|entry| entry.text).collect();
        self.forget(taken.iter().map(String::len).sum());
        taken
    }

    fn forget(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.memory.subtract(bytes);
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.memory.subtract(self.bytes);
    }
}
