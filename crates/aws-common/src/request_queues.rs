//! The queues that a worker reads: the one that all workers of a fleet share, and its own.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{Client, types::QueueAttributeName};
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
    id::{InstanceId, RemoteSession},
    intake::{Arrival, Desk, Stopping},
};
use tokio::time::Instant;

use crate::{
    attributes::seal_forwarded,
    large_payloads::{LargePayloads, PayloadReader, Unwrap, offload},
    neighbourhood::neighbourhood,
    polling::PollSettings,
    queue::{DEFAULT_MESSAGE_BYTES, Queue},
    redrive::RedrivePolicy,
    request_poller::{DeadLetters, DecodeRequest, RequestPoller, RequestPollerSettings},
    sender_pool::SenderPool,
    worker_queue::{WorkerQueue, WorkerQueuePlan},
};

/// What a worker's queues are read with.
#[derive(Debug, Clone)]
pub struct RequestQueuesPlan {
    /// The client, without retries of its own.
    pub client: Client,
    /// The URL of the queue that all workers read.
    pub queue_url: Box<str>,
    /// How its messages are read.
    pub decode: DecodeRequest,
    /// Whether no other worker reads it: then there is no queue of its own.
    pub sole: bool,
    /// What the name of a worker's own queue begins with.
    pub own_queue_prefix: Box<str>,
    /// The worker. What it left behind under this id is taken over.
    pub instance: InstanceId,
    /// Where requests go that can never be done. Left out: where the queue's redrive policy says, if it has one.
    pub dead_letter_queue_url: Option<Box<str>>,
    /// How long a receive waits for a message.
    pub wait_time: Duration,
    /// The most messages a receive takes.
    pub max_messages: u8,
    /// How long a received message stays hidden unless that is extended.
    pub visibility_timeout: Duration,
    /// The longest that a request may take: what could not be passed on by then is not passed on.
    pub request_timeout_max: Duration,
    /// The large payloads that are read and sent.
    pub payloads: Option<LargePayloads>,
    /// Where the queue is fed by a topic: takes claim checks out of what that wraps around them.
    pub by_topic: Option<Unwrap>,
    /// What counts the calls.
    pub metrics: BackendMetrics,
}

/// The queues that a worker reads.
#[derive(Debug)]
pub struct RequestQueues {
    queue: Queue,
    shared: RequestPoller,
    own: Option<WorkerQueue>,
    forwards: SenderPool,
    plan: RequestQueuesPlan,
    message_bytes: usize,
}

impl RequestQueues {
    /// Finds the queue and its dead-letter queue, checks that they may be used, and creates the worker's own, last of all, or takes it
    /// over.
    ///
    /// # Errors
    /// `Config` and `Denied` name the queue and the missing permission; `Unavailable` when SQS cannot be reached.
    pub async fn connect(plan: RequestQueuesPlan) -> Result<Self, BackendError> {
        let RequestQueuesPlan { client, queue_url, metrics, .. } = &plan;
        let queue = Queue::new(client, queue_url, "request queue", metrics);
        let wanted = [QueueAttributeName::MaximumMessageSize, QueueAttributeName::RedrivePolicy];
        let found = queue.attributes("start", wanted).await?;
        queue.check_receives().await?;
        // with a message to itself it ends its last poll
        queue.check_sends().await?;
        let named = plan.dead_letter_queue_url.as_deref().map(str::to_owned);
        let dead_letters =
            named.or_else(|| RedrivePolicy::of(&found).and_then(|policy| policy.target_url(queue_url)));
        if let Some(url) = &dead_letters {
            Queue::new(client, url, "dead-letter queue", metrics).check_sends().await?;
        } else {
            tracing::warn!("there is no dead-letter queue: requests that can never be done are deleted");
        }
        let dead_letters = dead_letters.map(|url| DeadLetters::new(client.clone(), &url, metrics.clone()));
        let size = found.get(&QueueAttributeName::MaximumMessageSize).and_then(|size| size.parse().ok());
        let polls = PollSettings {
            queue_url: queue_url.clone(),
            name: queue.name().into(),
            wait_time: plan.wait_time,
            max_messages: plan.max_messages,
            visibility_timeout: plan.visibility_timeout,
            payloads: PayloadReader::new(plan.payloads.clone()),
        };
        let by_topic =
            |unwrap| PollSettings { payloads: polls.payloads.clone().by_topic(unwrap), ..polls.clone() };
        let settings = RequestPollerSettings {
            polls: plan.by_topic.map_or_else(|| polls.clone(), by_topic),
            to_owner: false,
            decode: plan.decode,
            dead_letters: dead_letters.clone(),
        };
        let shared = RequestPoller::new(client.clone(), settings, plan.instance.clone(), metrics.clone());
        let message_bytes = size.unwrap_or(DEFAULT_MESSAGE_BYTES);
        let forwards =
            SenderPool::new(client.clone(), queue_url, message_bytes, "the worker queue", metrics.clone());
        let own = if plan.sole {
            None
        } else {
            let own = WorkerQueuePlan {
                client: client.clone(),
                prefix: plan.own_queue_prefix.clone(),
                instance: plan.instance.clone(),
                polls,
                dead_letters,
                metrics: metrics.clone(),
            };
            Some(WorkerQueue::create(own).await?)
        };
        Ok(Self { queue, shared, own, forwards, plan, message_bytes })
    }

    /// The largest message that the shared queue takes.
    pub fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    /// The patterns of the queues and topics of its account and region.
    pub fn neighbourhood(&self) -> Vec<String> {
        let region = self.plan.client.config().region().map(AsRef::as_ref);
        neighbourhood(self.queue.url(), region)
    }

    /// The URL of the worker's own queue.
    pub fn owner(&self) -> Option<&str> {
        self.own.as_ref().map(WorkerQueue::url)
    }

    /// The URL of the queue of the worker that made up this session id, where that is another one.
    pub fn owner_of(&self, session: &RemoteSession) -> Option<Box<str>> {
        self.own.as_ref()?.owner_of(session)
    }

    /// Whether requests are received.
    ///
    /// # Errors
    /// That of the last poll.
    pub async fn check(&self) -> Result<(), BackendError> {
        match self.shared.check() {
            Some(polled) => polled?,
            None => drop(self.queue.message_bytes("check").await?),
        }
        self.own.as_ref().and_then(WorkerQueue::check).unwrap_or(Ok(()))
    }

    /// Feeds the desk until told to stop, and then with what is in hand: from the queue that others read too until `stopping.drain`
    /// fires, from the one that it reads alone until `stopping.stop` does.
    pub async fn run(&self, desk: &Arc<dyn Desk>, stopping: &Stopping) {
        let Some(own) = &self.own else {
            return Box::pin(self.shared.run(desk, stopping.stop.clone())).await;
        };
        // whoever stops need not drain before
        let either = stopping.drain.child_token();
        let draining = async {
            either.run_until_cancelled(stopping.stop.cancelled()).await;
            either.cancel();
        };
        tokio::join!(
            draining,
            Box::pin(self.shared.run(desk, either.clone())),
            own.run(desk, stopping.stop.clone())
        );
    }

    /// Passes what arrived here on to the worker whose queue is at `owner`.
    ///
    /// # Errors
    /// `SessionGone` when there is no such queue, or it is none of a worker beside this one; otherwise those of the send.
    pub async fn forward(&self, owner: &str, arrival: &Arrival) -> Result<(), BackendError> {
        if !self.own.as_ref().is_some_and(|own| own.is_of_fleet(owner)) {
            return Err(gone("the session's owner is no worker of this fleet"));
        }
        let deadline = Instant::now() + self.plan.request_timeout_max;
        let payloads = self.plan.payloads.as_ref();
        // it was one of them that answered whoever sent it, so the others read the same
        let announced = payloads.map(LargePayloads::announces);
        let (message, limit) = (seal_forwarded(arrival, owner), self.forwards.message_bytes());
        let message = offload(payloads, announced.as_deref(), message, limit, deadline).await?;
        self.forwards.send(owner, message, deadline).await.map_err(|error| match error.kind() {
            ErrorKind::Config => gone("the worker that had this session is no more").with_source(error),
            _ => error,
        })
    }

    /// Deletes the worker's own queue, once nothing is received or passed on any more.
    pub async fn end(&self) {
        self.forwards.close().await;
        if let Some(own) = &self.own {
            own.delete().await;
        }
    }
}

fn gone(message: &str) -> BackendError {
    BackendError::new(ErrorKind::SessionGone, "forward", message)
}
