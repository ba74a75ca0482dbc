//! How the poller goes on after what it received: one receive that waits, or two that do not.

use std::time::Duration;

use super::Polled;
use crate::backoff::Backoff;

/// The delay before the first retry of a failed receive, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// After how many full batches in a row messages are taken to pile up. Fewer would be a burst, and two receives that find little
/// cost more than they save.
const PILE: u32 = 8;

/// What the last receives say about the next.
#[derive(Debug)]
pub(super) struct Pace {
    max_messages: usize,
    backoff: Backoff,
    full_in_a_row: u32,
}

/// What to receive next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for messages, after a delay.
    One {
        /// How long that is.
        delay: Duration,
    },
    /// Take what is there, twice at once. Neither waits, since one that does cannot be told from one whose answer is on its way
    /// with older messages than the other's.
    Two,
}

impl Pace {
    pub(super) fn new(max_messages: u8) -> Self {
        Self {
            max_messages: usize::from(max_messages),
            backoff: Backoff::new(RETRY.0, RETRY.1),
            full_in_a_row: 0,
        }
    }

    pub(super) fn after(&mut self, received: &[Polled]) -> Next {
        if received.iter().any(Result::is_err) {
            self.full_in_a_row = 0;
            return Next::One { delay: self.backoff.next_delay() };
        }
        self.backoff.reset();
        let all_full = received.iter().flatten().all(|messages| messages.len() >= self.max_messages);
        self.full_in_a_row = if all_full { self.full_in_a_row.saturating_add(1) } else { 0 };
        if self.full_in_a_row >= PILE { Next::Two } else { Next::One { delay: Duration::ZERO } }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::Message;
    use proxy_core::error::{BackendError, ErrorKind};

    use super::*;
    use crate::large_payloads::Arrived;

    const ONE: Next = Next::One { delay: Duration::ZERO };

    fn batches<const N: usize>(counts: [usize; N]) -> [Polled; N] {
        let message = || Arrived { message: Message::builder().build(), payload: None };
        counts.map(|count| Ok((0..count).map(|_| message()).collect()))
    }

    #[test]
    fn messages_that_pile_up_are_taken_by_two_until_one_finds_fewer() {
        let mut pace = Pace::new(10);
        for _ in 1..PILE {
            assert_eq!(pace.after(&batches([10])), ONE);
        }
        assert_eq!(pace.after(&batches([10])), Next::Two);
        assert_eq!(pace.after(&batches([10, 10])), Next::Two);
        assert_eq!(pace.after(&batches([10, 9])), ONE);
        assert_eq!(pace.after(&batches([10])), ONE);
    }

    #[test]
    fn a_failure_is_followed_by_one_after_a_delay() {
        let mut pace = Pace::new(1);
        for _ in 0..PILE {
            pace.after(&batches([1]));
        }
        let failed = Err(BackendError::new(ErrorKind::Unavailable, "receive", "test"));
        assert!(
            matches!(pace.after(&[Ok(Vec::new()), failed]), Next::One { delay } if delay > Duration::ZERO)
        );
        assert_eq!(pace.after(&batches([1])), ONE);
    }
}
