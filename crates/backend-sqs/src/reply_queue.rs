//! The queue that answers are read from: a given one, or one of our own making.

use aws_common::{CreatedQueue, PollHealth, Queue, QueueMaker};
use proxy_core::error::BackendError;
use tokio_util::sync::CancellationToken;

/// The queue that answers are read from.
#[derive(Debug)]
pub(crate) enum ReplyQueue {
    /// One that exists, and stays.
    Given(Queue),
    /// One of our own making.
    Created(CreatedQueue),
}

impl ReplyQueue {
    /// A queue that exists. Checks that it does, and that we may use it.
    pub(crate) async fn given(queue: Queue) -> Result<Self, BackendError> {
        queue.message_bytes("start").await?;
        queue.check_receives().await?;
        Ok(Self::Given(queue))
    }

    pub(crate) async fn create(maker: &QueueMaker) -> Result<Self, BackendError> {
        maker.create(None, "start").await.map(Self::Created)
    }

    pub(crate) fn queue(&self) -> &Queue {
        match self {
            Self::Given(queue) => queue,
            Self::Created(created) => created.queue(),
        }
    }

    /// Looks after a created queue until `shutdown` fires.
    pub(crate) async fn keep_alive(&self, polls: &PollHealth, shutdown: CancellationToken) {
        if let Self::Created(created) = self {
            created.keep_alive(polls, shutdown).await;
        }
    }

    /// Deletes a created queue.
    pub(crate) async fn delete(&self) {
        if let Self::Created(created) = self {
            created.delete().await;
        }
    }
}
