//! Both queues, for readiness.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_common::Queue;
use proxy_core::error::BackendError;
use tokio::time::Instant;

/// How long an answer about the request queue is good for, since readiness is asked often.
const CHECKED_FOR: Duration = Duration::from_secs(10);

/// Both queues, for readiness.
#[derive(Debug)]
pub(crate) struct Queues {
    requests: Queue,
    replies: Queue,
    requests_checked: Mutex<Option<Instant>>,
}

impl Queues {
    pub(crate) fn new(requests: Queue, replies: Queue) -> Self {
        Self { requests, replies, requests_checked: Mutex::new(None) }
    }

    pub(crate) async fn check_replies(&self) -> Result<(), BackendError> {
        self.replies.message_bytes("check").await.map(|_| ())
    }

    /// Asks at most every ten seconds, as long as the answers are good.
    pub(crate) async fn check_requests(&self) -> Result<(), BackendError> {
        let now = Instant::now();
        let checked = *self.requests_checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.is_some_and(|checked| now.duration_since(checked) < CHECKED_FOR) {
            return Ok(());
        }
        self.requests.message_bytes("check").await?;
        *self.requests_checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }
}
