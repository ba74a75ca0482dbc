//! What created queues are for, and so how soon it is noticed that the owner of one is dead.

use std::time::Duration;

use crate::backoff::jittered;

/// What created queues are for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose {
    /// What errors and logs call one.
    pub(super) role: &'static str,
    /// Who has one.
    pub(super) owner: &'static str,
    /// How often its tag is refreshed, at the least.
    pub(super) refresh: Duration,
    /// How long its owner is taken to live after a refresh: two may fail.
    pub(super) alive: Duration,
    /// How long past the time until which its owner is taken to live that one is dead.
    pub(super) dead_for: Duration,
    /// How long past that time it is removed.
    pub(super) removed_after: Duration,
    /// How often to look for those of dead owners, at the least.
    reap: Duration,
    /// Whether a restarted owner goes by the same name, and so takes over what it left behind.
    pub(super) is_taken_over: bool,
}

impl Purpose {
    /// For a proxy's answers, which nobody but the proxy waits for.
    pub(super) const REPLIES: Self = Self {
        role: "reply queue",
        owner: "proxy",
        refresh: Duration::from_mins(5),
        alive: Duration::from_mins(15),
        dead_for: Duration::from_mins(15),
        removed_after: Duration::from_mins(15),
        reap: Duration::from_mins(20),
        is_taken_over: false,
    };

    /// For the requests of a worker's sessions, whose clients wait: a dead worker is noticed within some two minutes.
    pub(super) const REQUESTS: Self = Self {
        role: "worker queue",
        owner: "worker",
        refresh: Duration::from_secs(25),
        alive: Duration::from_mins(1),
        dead_for: Duration::from_secs(20),
        removed_after: Duration::from_secs(20),
        reap: Duration::from_secs(30),
        is_taken_over: true,
    };

    /// The same where an owner hides for so long what it took and then had in hand: it is to be answered before its queue goes.
    pub(super) fn hiding(self, visibility_timeout: Duration) -> Self {
        // when it dies its owner is taken to live for half a minute more
        let hidden = visibility_timeout.saturating_sub(self.dead_for);
        Self { removed_after: self.removed_after.max(hidden), ..self }
    }

    /// When to look again where there are so many queues of others. Workers look seldom where they are many, so that together they look
    /// as often as one would: calls about tags are few (AWS, "Amazon SQS quotas").
    pub(super) fn next_reap(&self, others: usize) -> Duration {
        let looking = if self.is_taken_over { u32::try_from(others).unwrap_or(u32::MAX).max(1) } else { 1 };
        jittered(self.reap.saturating_mul(looking))
    }
}
