//! Where answers come in: one queue for all sessions, or one each.

mod session_queues;
mod shared_queue;

use std::{sync::Arc, time::Duration};

use aws_common::{
    ForeignPolicy, LargePayloads, PayloadReader, PollSettings, Poller, PollerSettings, Queue, QueueMaker,
    attributes,
};
use aws_sdk_sqs::Client;
use proxy_core::{
    BackendMetrics,
    backend::Inbox,
    error::BackendError,
    id::{InstanceId, RouteKey},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{session_queues::SessionQueues, shared_queue::SharedQueue};
use crate::config::SqsConfig;

/// Where answers come in.
#[derive(Debug)]
pub(crate) enum Replies {
    Shared(Box<SharedQueue>),
    PerSession(Box<SessionQueues>),
}

/// What every poller of this backend is made from.
#[derive(Debug, Clone)]
pub(crate) struct PollPlan {
    pub(crate) client: Client,
    pub(crate) wait_time: Duration,
    pub(crate) max_messages: u8,
    pub(crate) visibility_timeout: Duration,
    pub(crate) request_timeout_max: Duration,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) instance: InstanceId,
    pub(crate) metrics: BackendMetrics,
    pub(crate) payloads: PayloadReader,
}

impl Replies {
    /// The queue for all sessions with this URL.
    pub(crate) async fn given(url: &str, plan: &PollPlan) -> Result<Self, BackendError> {
        let queue = Queue::new(&plan.client, url, "reply queue", &plan.metrics);
        SharedQueue::given(queue, plan).await.map(|shared| Self::Shared(Box::new(shared)))
    }

    /// A queue of our own making for all sessions.
    pub(crate) async fn created(maker: QueueMaker, plan: &PollPlan) -> Result<Self, BackendError> {
        SharedQueue::created(maker, plan).await.map(|shared| Self::Shared(Box::new(shared)))
    }

    /// A queue of our own making for each session, once one on trial shows that it can be done.
    pub(crate) async fn per_session(maker: QueueMaker, plan: PollPlan) -> Result<Self, BackendError> {
        SessionQueues::tried(maker, plan).await.map(|sessions| Self::PerSession(Box::new(sessions)))
    }

    /// The URL of the queue for all sessions.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Self::Shared(shared) => Some(shared.queue().url()),
            Self::PerSession(_) => None,
        }
    }

    /// The queue that the answers of a session that begins now go to, once others can send to it.
    pub(crate) async fn begin(&self, route: &RouteKey, deadline: Instant) -> Result<Box<str>, BackendError> {
        match self {
            Self::Shared(shared) => Ok(shared.usable().await.into()),
            Self::PerSession(sessions) => sessions.begin(route, deadline).await,
        }
    }

    /// The queue that the answers of a session go to.
    pub(crate) fn of(&self, route: &RouteKey) -> Result<Box<str>, BackendError> {
        match self {
            Self::Shared(shared) => Ok(shared.queue().url().into()),
            Self::PerSession(sessions) => sessions.of(route),
        }
    }

    /// Whether answers are received.
    pub(crate) async fn check(&self) -> Result<(), BackendError> {
        match self {
            Self::Shared(shared) => shared.check().await,
            Self::PerSession(_) => Ok(()),
        }
    }

    /// Receives until `shutdown` fires, and then what is in hand.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        match self {
            Self::Shared(shared) => shared.run(shutdown).await,
            Self::PerSession(sessions) => sessions.run(shutdown).await,
        }
    }

    /// Deletes what was created for the process, once nothing is sent any more.
    pub(crate) async fn delete(&self) {
        if let Self::Shared(shared) = self {
            shared.delete().await;
        }
    }

    /// Deletes what was created for a session.
    pub(crate) async fn close(&self, route: &RouteKey) {
        if let Self::PerSession(sessions) = self {
            sessions.close(route).await;
        }
    }
}

impl PollPlan {
    pub(crate) fn new(
        config: &SqsConfig,
        client: &Client,
        metrics: &BackendMetrics,
        parts: &crate::SqsParts<'_>,
        payloads: Option<LargePayloads>,
    ) -> Self {
        Self {
            client: client.clone(),
            wait_time: config.wait_time,
            max_messages: config.max_messages,
            visibility_timeout: config.visibility_timeout,
            request_timeout_max: parts.request_timeout_max,
            inbox: Arc::clone(&parts.inbox),
            instance: parts.instance.clone(),
            metrics: metrics.clone(),
            payloads: PayloadReader::new(payloads),
        }
    }

    fn poller(&self, queue: &Queue) -> Poller {
        let polls = PollSettings {
            queue_url: queue.url().into(),
            name: queue.name().into(),
            wait_time: self.wait_time,
            max_messages: self.max_messages,
            visibility_timeout: self.visibility_timeout,
            payloads: self.payloads.clone(),
        };
        let (orphan_after, foreign) = (self.request_timeout_max, ForeignPolicy::GiveBack);
        let settings = PollerSettings { polls, orphan_after, foreign };
        let (inbox, instance) = (Arc::clone(&self.inbox), self.instance.clone());
        Poller::new(self.client.clone(), settings, attributes::decode, inbox, instance, self.metrics.clone())
    }
}
