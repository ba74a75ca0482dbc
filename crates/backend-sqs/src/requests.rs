//! The request queue, for readiness.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_common::Queue;
use proxy_core::error::BackendError;
use tokio::time::Instant;

/// How long an answer about the queue is good for, since readiness is asked often.
const CHECKED_FOR: Duration = Duration::from_secs(10);

/// The queue that requests go to.
#[derive(Debug)]
pub(crate) struct Requests {
    queue: Queue,
    checked: Mutex<Option<Instant>>,
}

impl Requests {
    pub(crate) fn new(queue: Queue) -> Self {
        Self { queue, checked: Mutex::new(None) }
    }

    /// Asks at most every ten seconds, as long as the answers are good.
    pub(crate) async fn check(&self) -> Result<(), BackendError> {
        let now = Instant::now();
        let checked = *self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.is_some_and(|checked| now.duration_since(checked) < CHECKED_FOR) {
            return Ok(());
        }
        self.queue.message_bytes("check").await?;
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }
}
