//! Which messages are kept hidden while they are worked on, and until when that has to be said again.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use tokio::time::Instant;

/// The longest that a message can stay hidden after a receive (SQS API, `ChangeMessageVisibility`: 12 hours).
const LONGEST: Duration = Duration::from_hours(12);

/// The messages that are worked on.
#[derive(Debug)]
pub(super) struct Held {
    visibility_timeout: Duration,
    messages: HashMap<Box<str>, Receipt>,
    due: BinaryHeap<Reverse<(Instant, Box<str>)>>,
}

/// The receipt that counts: the latest.
#[derive(Debug)]
struct Receipt {
    handle: String,
    received: Instant,
}

/// A message that is to be hidden again, for so long from now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) receipt: String,
    pub(super) hidden_for: Duration,
}

impl Held {
    pub(super) fn new(visibility_timeout: Duration) -> Self {
        Self { visibility_timeout, messages: HashMap::new(), due: BinaryHeap::new() }
    }

    /// Holds a message that was just received, again if it is held already.
    pub(super) fn hold(&mut self, message_id: &str, receipt: String, now: Instant) {
        let again = self.messages.insert(message_id.into(), Receipt { handle: receipt, received: now });
        if again.is_none() {
            self.due.push(Reverse((now + self.visibility_timeout / 2, message_id.into())));
        }
    }

    /// Whether this message is held.
    pub(super) fn holds(&self, message_id: &str) -> bool {
        self.messages.contains_key(message_id)
    }

    /// Lets a message go; returns its latest receipt.
    pub(super) fn release(&mut self, message_id: &str) -> Option<String> {
        let released = self.messages.remove(message_id).map(|receipt| receipt.handle);
        if self.messages.is_empty() {
            self.due.clear();
        }
        released
    }

    /// When one has to be hidden again next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// Those that have to be hidden again now, and those for which that is due soon, so that they share a call.
    pub(super) fn extensions(&mut self, now: Instant) -> Vec<Extension> {
        let soon = now + self.visibility_timeout / 8;
        let mut extensions = Vec::new();
        while let Some(Reverse((due, _))) = self.due.peek()
            && *due <= soon
            && let Some(Reverse((_, message_id))) = self.due.pop()
        {
            let Some(receipt) = self.messages.get(&message_id) else { continue };
            let left = LONGEST.saturating_sub(now.duration_since(receipt.received));
            let hidden_for = Duration::from_secs(self.visibility_timeout.min(left).as_secs());
            if hidden_for.is_zero() {
                tracing::warn!(
                    messaging.message.id = &*message_id,
                    "a request has taken so long that SQS gives it out again"
                );
                continue;
            }
            extensions.push(Extension { receipt: receipt.handle.clone(), hidden_for });
            self.due.push(Reverse((now + self.visibility_timeout / 2, message_id)));
        }
        extensions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_message_is_hidden_again_well_before_it_is_given_out_and_never_past_twelve_hours() {
        let timeout = Duration::from_mins(30);
        let (mut held, received) = (Held::new(timeout), Instant::now());
        held.hold("m", "r".to_owned(), received);
        let (mut now, mut hidden_until) = (received, received + timeout);
        while let Some(due) = held.next_due() {
            if due >= received + LONGEST {
                assert_eq!(held.extensions(due), [], "SQS would refuse it");
                continue;
            }
            assert!(due < hidden_until, "in time");
            now = due;
            for extension in held.extensions(now) {
                assert_eq!(extension.receipt, "r");
                hidden_until = now + extension.hidden_for;
                assert!(hidden_until <= received + LONGEST, "as long as SQS takes");
            }
        }
        assert_eq!(hidden_until, received + LONGEST);
        assert!(now >= received + LONGEST - timeout / 2);
        assert!(held.holds("m"), "it is still worked on");
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_receipt_counts_and_neighbours_share_a_call() {
        let now = Instant::now();
        let mut held = Held::new(Duration::from_secs(80));
        held.hold("a", "a1".to_owned(), now);
        held.hold("b", "b1".to_owned(), now + Duration::from_secs(9));
        held.hold("c", "c1".to_owned(), now + Duration::from_secs(11));
        held.hold("a", "a2".to_owned(), now + Duration::from_secs(12));
        let due = held.next_due().unwrap();
        assert_eq!(due, now + Duration::from_secs(40));
        let receipts: Vec<_> = held.extensions(due).into_iter().map(|extension| extension.receipt).collect();
        assert_eq!(receipts, ["a2", "b1"]);
        assert_eq!(held.release("a").as_deref(), Some("a2"));
        assert_eq!(held.release("a"), None);
    }
}
