//! What the caller has to do with the backend, in order.

use std::collections::VecDeque;

use super::{Key, memory::Reserved};
use crate::backend::{Outbound, Remote};

/// The most messages of the proxy's own that wait to be sent or are being sent.
const MAX_OWN: usize = 10_000;

/// What the caller has to do with the backend.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Send this and report with [`State::sent`](super::State::sent).
    Send {
        /// Whose it is.
        session: Key,
        /// The message.
        outbound: Box<Outbound>,
        /// What the report is about.
        receipt: Receipt,
        /// The message's share of the process's memory, until it is sent.
        reserved: Reserved,
    },
    /// Send these in order, then close, and report with [`State::closed`](super::State::closed).
    Close {
        /// Whose path ends.
        session: Key,
        /// The path.
        remote: Remote,
        /// What the far end is told about what was open.
        farewells: Vec<Outbound>,
    },
}

impl Outgoing {
    pub(super) fn is_request(&self, number: u64) -> bool {
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
    /// The proxy's own question whether the session lives.
    Probe,
}

/// What is to be done, oldest first, and how much of it is the proxy's own.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Outgoing>,
    /// Messages of the proxy's own that wait or are being sent. A client's are bounded with its exchanges.
    own: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, outgoing: Outgoing) {
        if matches!(outgoing, Outgoing::Send { receipt: Receipt::Ours | Receipt::Probe, .. }) {
            self.own += 1;
        }
        self.waiting.push_back(outgoing);
    }

    pub(super) fn take(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.waiting).into()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A message of the proxy's own was sent, or could not be.
    pub(super) fn own_sent(&mut self) {
        self.own = self.own.saturating_sub(1);
    }

    /// Whether no more messages of the proxy's own are taken.
    pub(super) fn is_full(&self) -> bool {
        self.own >= MAX_OWN
    }

    #[cfg(test)]
    pub(super) fn own(&self) -> usize {
        self.own
    }
}
