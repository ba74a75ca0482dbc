//! One queue for the answers of all sessions: a given one, or one of our own making.

use aws_common::{CreatedQueue, Poller, Queue, QueueMaker};
use proxy_core::error::BackendError;
use tokio_util::sync::CancellationToken;

use super::PollPlan;

/// The queue that all answers are read from, and its poller.
#[derive(Debug)]
pub(crate) struct SharedQueue {
    queue: Queue,
    /// Who made it, and what was made; nothing for a given one, which stays.
    created: Option<(QueueMaker, CreatedQueue)>,
    poller: Poller,
}

impl SharedQueue {
    /// A queue that exists. Checks that it does, and that we may use it.
    pub(super) async fn given(queue: Queue, plan: &PollPlan) -> Result<Self, BackendError> {
        queue.message_bytes("start").await?;
        queue.check_receives().await?;
        Ok(Self::with(queue, None, plan))
    }

    pub(super) async fn created(maker: QueueMaker, plan: &PollPlan) -> Result<Self, BackendError> {
        let created = maker.create(None, "start").await?;
        Ok(Self::with(created.queue().clone(), Some((maker, created)), plan))
    }

    fn with(queue: Queue, created: Option<(QueueMaker, CreatedQueue)>, plan: &PollPlan) -> Self {
        let poller = plan.poller(&queue);
        Self { queue, created, poller }
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Its URL, once others can send to it.
    pub(super) async fn usable(&self) -> &str {
        if let Some((_, created)) = &self.created {
            created.usable().await;
        }
        self.queue.url()
    }

    pub(super) async fn check(&self) -> Result<(), BackendError> {
        match self.poller.check() {
            Some(polled) => polled,
            None => self.queue.message_bytes("check").await.map(|_| ()),
        }
    }

    pub(super) async fn run(&self, shutdown: CancellationToken) {
        let Some((maker, created)) = &self.created else {
            return Box::pin(self.poller.run(shutdown)).await;
        };
        tokio::join!(
            Box::pin(self.poller.run(shutdown.clone())),
            Box::pin(created.keep_alive(self.poller.health(), shutdown.clone())),
            Box::pin(maker.reap(shutdown))
        );
    }

    pub(super) async fn delete(&self) {
        if let Some((_, created)) = &self.created {
            created.delete().await;
        }
    }
}
