//! Which messages are kept hidden while they are worked on, and until when that has to be said again.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use tokio::time::Instant;

/// The longest that a message can stay hidden after a receive (SQS API, `ChangeMessageVisibility`: 12 hours).
const LONGEST: Duration = Duration::from_hours(12);

/// How many that were let go may still be among those that are due, beside as many as are held.
const LET_GO: usize = 64;

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
    /// When it has to be hidden again; none once SQS does not do so any more.
    due: Option<Instant>,
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
        let due = self.messages.get(message_id).and_then(|receipt| receipt.due).unwrap_or_else(|| {
            let due = now + self.visibility_timeout / 2;
            self.due.push(Reverse((due, message_id.into())));
            due
        });
        let receipt = Receipt { handle: receipt, received: now, due: Some(due) };
        self.messages.insert(message_id.into(), receipt);
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
        } else if self.due.len() > 2 * self.messages.len() + LET_GO {
            let Self { messages, due, .. } = self;
            due.retain(|Reverse((at, id))| messages.get(id).is_some_and(|receipt| receipt.due == Some(*at)));
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
            && let Some(Reverse((due, message_id))) = self.due.pop()
        {
            // one that was let go, and perhaps came again since, is not due for what it was due for before
            let receipt = self.messages.get_mut(&message_id).filter(|receipt| receipt.due == Some(due));
            let Some(receipt) = receipt else { continue };
            let left = LONGEST.saturating_sub(now.duration_since(receipt.received));
            let hidden_for = Duration::from_secs(self.visibility_timeout.min(left).as_secs());
            if hidden_for.is_zero() {
                receipt.due = None;
                tracing::warn!(
                    messaging.message.id = &*message_id,
                    "a request has taken so long that SQS gives it out again"
                );
                continue;
            }
            extensions.push(Extension { receipt: receipt.handle.clone(), hidden_for });
            let next = now + self.visibility_timeout / 2;
            receipt.due = Some(next);
            self.due.push(Reverse((next, message_id)));
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
    async fn what_is_given_out_again_after_twelve_hours_is_kept_hidden_again() {
        let timeout = Duration::from_mins(30);
        let (mut held, received) = (Held::new(timeout), Instant::now());
        held.hold("m", "r1".to_owned(), received);
        while let Some(due) = held.next_due() {
            held.extensions(due);
        }
        let again = received + LONGEST;
        held.hold("m", "r2".to_owned(), again);
        assert_eq!(held.next_due(), Some(again + timeout / 2));
        let extensions = held.extensions(again + timeout / 2);
        assert_eq!(extensions, [Extension { receipt: "r2".to_owned(), hidden_for: timeout }]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_let_go_is_not_remembered_while_something_else_is_held() {
        let (mut held, now) = (Held::new(LONGEST), Instant::now());
        held.hold("long", "r".to_owned(), now);
        for number in 0..10_000 {
            held.hold(&number.to_string(), "r".to_owned(), now);
            held.release(&number.to_string());
        }
        assert!(held.due.len() < 1000, "{}", held.due.len());
        // one that is given back and comes again is due once
        for _ in 0..3 {
            held.release("long");
            held.hold("long", "r".to_owned(), now);
        }
        assert_eq!(held.extensions(now + LONGEST / 2).len(), 1);
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
