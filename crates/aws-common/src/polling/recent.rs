//! The messages that were seen lately, so that a duplicate is not handed over twice.

use std::collections::{HashMap, VecDeque};

/// The most messages that are remembered.
const REMEMBERED: usize = 8192;

#[derive(Debug, Default)]
pub(crate) struct Recent {
    states: HashMap<Box<str>, State>,
    /// The settled ones, oldest first.
    settled: VecDeque<Box<str>>,
}

#[derive(Debug)]
enum State {
    /// Being stored. Holds the receipts of the message and its duplicates.
    Pending(Vec<String>),
    /// Deleted, or about to be.
    Settled,
}

/// What to do with a received message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Hand it over.
    New(String),
    /// Delete it.
    Settled(String),
    /// Nothing: it shares the settlement of the first.
    Pending,
}

impl Recent {
    pub(crate) fn look_up(&mut self, message_id: &str, receipt: String) -> Seen {
        match self.states.get_mut(message_id) {
            None => Seen::New(receipt),
            Some(State::Settled) => Seen::Settled(receipt),
            Some(State::Pending(receipts)) => {
                receipts.push(receipt);
                Seen::Pending
            }
        }
    }

    pub(crate) fn pending(&mut self, message_id: &str, receipt: String) {
        self.states.insert(message_id.into(), State::Pending(vec![receipt]));
    }

    /// Ends a pending settlement: the receipts of the message and its duplicates.
    pub(crate) fn take_pending(&mut self, message_id: &str) -> Vec<String> {
        match self.states.remove(message_id) {
            Some(State::Pending(receipts)) => receipts,
            Some(State::Settled) | None => Vec::new(),
        }
    }

    pub(crate) fn settled(&mut self, message_id: &str) {
        if self.settled.len() >= REMEMBERED
            && let Some(oldest) = self.settled.pop_front()
        {
            self.states.remove(&oldest);
        }
        self.states.insert(message_id.into(), State::Settled);
        self.settled.push_back(message_id.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_of_a_pending_message_shares_its_settlement() {
        let mut recent = Recent::default();
        assert_eq!(recent.look_up("m", "r1".into()), Seen::New("r1".into()));
        recent.pending("m", "r1".into());
        assert_eq!(recent.look_up("m", "r2".into()), Seen::Pending);
        assert_eq!(recent.take_pending("m"), ["r1", "r2"]);
        recent.settled("m");
        assert_eq!(recent.look_up("m", "r3".into()), Seen::Settled("r3".into()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = Recent::default();
        for number in 0..=REMEMBERED {
            recent.settled(&number.to_string());
        }
        assert_eq!((recent.states.len(), recent.settled.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(recent.look_up("0", "r".into()), Seen::New("r".into()));
    }
}
