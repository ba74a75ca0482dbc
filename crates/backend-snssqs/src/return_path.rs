//! The way that answers take: a given queue that is subscribed, or a queue and a subscription of our own making.

use std::{sync::Arc, time::Duration};

use aws_common::{CreatedQueue, ForeignPolicy, PollHealth, Queue, QueueMaker, QueuePlan};
use proxy_core::{BackendMetrics, error::BackendError, id::InstanceId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{clients::Clients, config::SnsSqsConfig, feed::Feed, proof::Proof, topic::Topic};

/// The way that answers take.
#[derive(Debug)]
pub(crate) enum ReturnPath {
    /// A queue that somebody else made and subscribed. It may have other readers.
    Given(Queue),
    /// A queue that only our own subscription feeds.
    Created(Box<CreatedPath>),
}

/// A queue and a subscription of our own making.
#[derive(Debug)]
pub(crate) struct CreatedPath {
    maker: QueueMaker,
    queue: CreatedQueue,
    feed: Arc<Feed>,
    topic: Arc<Topic>,
    proof: Arc<Proof>,
    instance: InstanceId,
}

impl ReturnPath {
    /// A queue that exists. Checks that it does, and that we may use it.
    pub(crate) async fn given(
        clients: &Clients,
        url: &str,
        metrics: &BackendMetrics,
    ) -> Result<Self, BackendError> {
        let queue = Queue::new(&clients.sqs, url, "reply queue", metrics);
        queue.message_bytes("start").await?;
        queue.check_receives().await?;
        Ok(Self::Given(queue))
    }

    pub(crate) fn queue(&self) -> &Queue {
        match self {
            Self::Given(queue) => queue,
            Self::Created(created) => created.queue(),
        }
    }

    /// What becomes of messages that are another instance's.
    pub(crate) fn foreign(&self) -> ForeignPolicy {
        match self {
            Self::Given(_) => ForeignPolicy::GiveBack,
            Self::Created(_) => ForeignPolicy::Delete,
        }
    }

    /// Whether answers would come, as far as that can be told without a poll.
    pub(crate) async fn check(&self) -> Result<(), BackendError> {
        match self {
            Self::Given(_) => Ok(()),
            Self::Created(created) => created.proof.check().await,
        }
    }

    /// Waits until answers would come, so that nothing is sent whose answer would be lost.
    pub(crate) async fn ready(&self, deadline: Instant) -> Result<(), BackendError> {
        match self {
            Self::Given(_) => Ok(()),
            Self::Created(created) => created.proof.wait(deadline).await,
        }
    }

    /// Looks after what was created, until `shutdown` fires.
    pub(crate) async fn keep_alive(&self, polls: &PollHealth, shutdown: CancellationToken) {
        if let Self::Created(created) = self {
            let CreatedPath { maker, queue, feed, topic, proof, instance } = &**created;
            tokio::join!(
                queue.keep_alive(polls, shutdown.clone()),
                maker.reap(shutdown.clone()),
                feed.keep(shutdown.clone()),
                proof.keep(topic, instance, polls, shutdown),
            );
        }
    }

    /// Removes what was created.
    pub(crate) async fn delete(&self) {
        if let Self::Created(created) = self {
            created.queue.delete().await;
        }
    }
}

impl CreatedPath {
    /// Creates a queue, its policy and its subscription to the response topic. What fails leaves nothing behind.
    pub(crate) async fn create(
        clients: &Clients,
        config: &SnsSqsConfig,
        topic: Topic,
        instance: &InstanceId,
        request_timeout_max: Duration,
        metrics: &BackendMetrics,
    ) -> Result<Self, BackendError> {
        topic.check_publishes().await?;
        let (topic, proof) = (Arc::new(topic), Arc::new(Proof::default()));
        let feed = Arc::new(Feed::new(
            clients.sqs.clone(),
            Arc::clone(&topic),
            instance,
            config.raw_message_delivery,
            &config.response_queue_prefix,
            Arc::clone(&proof),
        ));
        let plan = QueuePlan {
            prefix: config.response_queue_prefix.as_str().into(),
            instance: instance.clone(),
            request_timeout_max,
            dependents: Some(Arc::clone(&feed) as Arc<dyn aws_common::Dependents>),
        };
        let maker = QueueMaker::new(clients.sqs.clone(), plan, metrics.clone());
        let queue = maker.create(None, "start").await?;
        Ok(Self { maker, queue, feed, topic, proof, instance: instance.clone() })
    }

    pub(crate) fn queue(&self) -> &Queue {
        self.queue.queue()
    }

    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Removes it, and says whether that went well.
    pub(crate) async fn try_delete(&self) -> Result<(), BackendError> {
        self.queue.try_delete().await
    }

    /// How many queues of dead instances there are.
    pub(crate) async fn look_for_dead(&self) -> Result<usize, BackendError> {
        self.maker.look_for_dead().await
    }
}
