//! Queues of our own making: created with tags, kept alive, deleted, and those that dead instances left behind reaped.
//!
//! A created queue is tagged with its instance and the time until which that is taken to live, from `CreateQueue` on. Whatever
//! process shares the prefix may remove it once that time is long past.

mod purpose;
mod reap;
mod tags;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_sqs::{
    Client, error::SdkError, operation::create_queue::CreateQueueError, types::QueueAttributeName,
};
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
    id::InstanceId,
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use self::{
    purpose::Purpose,
    tags::{ALIVE_UNTIL_TAG, INSTANCE_TAG, TagPace, alive_until},
};
use crate::{backoff::jittered, error::Call, polling::PollHealth, queue::Queue};

/// How often the queue is looked after.
const LOOK: Duration = Duration::from_secs(5);

/// How long after its creation a queue can be used (SQS API, `CreateQueue`: "wait at least one second").
const SETTLES: Duration = Duration::from_secs(1);

/// How long after its creation a queue that is not found is still taken for a new one, and how often it is looked for.
const NEW: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(500));

/// How long the name of a deleted queue cannot be used (SQS API, `CreateQueue`: 60 s), and how often to try.
const DELETED: (Duration, Duration) = (Duration::from_secs(70), Duration::from_secs(5));

/// For how long answers are kept past the longest request.
const RETENTION_MARGIN: Duration = Duration::from_hours(1);

/// The retention that SQS takes, in seconds (AWS, `MessageRetentionPeriod`).
const RETENTION: (u64, u64) = (60, 1_209_600);

/// What hangs on a created queue, such as a subscription that feeds it.
#[async_trait]
pub trait Dependents: fmt::Debug + Send + Sync + 'static {
    /// Makes them, after the queue was created, and again after it was lost and created again.
    ///
    /// # Errors
    /// At start the queue is deleted again; later it is tried again.
    async fn attach(&self, queue: &Queue) -> Result<(), BackendError>;

    /// Removes them, before the queue is deleted: one of ours, or one that a dead instance left behind. What is gone already is fine.
    ///
    /// # Errors
    /// The queue of a dead instance then stays for another try, unless the error is `Denied`; one of ours is deleted all the same.
    async fn detach(&self, queue: &Queue) -> Result<(), BackendError>;
}

/// What the created queues of one process have in common.
#[derive(Debug, Clone)]
pub struct QueuePlan {
    /// What their names begin with.
    pub prefix: Box<str>,
    /// The process.
    pub instance: InstanceId,
    /// The longest that a request may take: messages are kept for an hour more.
    pub request_timeout_max: Duration,
    /// What hangs on each of them.
    pub dependents: Option<Arc<dyn Dependents>>,
}

/// Creates queues, and reaps those of dead instances. Clones share the pace of their tagging.
#[derive(Debug, Clone)]
pub struct QueueMaker {
    client: Client,
    metrics: BackendMetrics,
    plan: Arc<QueuePlan>,
    purpose: Purpose,
    pace: TagPace,
}

/// A queue of our own making.
#[derive(Debug)]
pub struct CreatedQueue {
    maker: QueueMaker,
    queue: Queue,
    queue_name: Box<str>,
    usable_at: Instant,
}

impl QueueMaker {
    /// Creates reply queues by this plan.
    pub fn new(client: Client, plan: QueuePlan, metrics: BackendMetrics) -> Self {
        Self { client, metrics, plan: Arc::new(plan), purpose: Purpose::REPLIES, pace: TagPace::default() }
    }

    /// Creates the queues of workers by this plan: an existing one of the same instance is taken over, with what is in it, and those of
    /// dead workers are noticed within some two minutes. They are removed once nothing in them can be hidden any more, which is for
    /// `visibility_timeout`. Messages are kept as long as SQS keeps them by itself.
    pub fn for_workers(
        client: Client,
        plan: QueuePlan,
        visibility_timeout: Duration,
        metrics: BackendMetrics,
    ) -> Self {
        let purpose = Purpose::REQUESTS.hiding(visibility_timeout);
        Self { purpose, ..Self::new(client, plan, metrics) }
    }

    /// Creates a queue named after the prefix, the instance and, where there are several, `suffix`, checks that it may be read, and
    /// attaches its dependents. Where that fails it is deleted again. (A future that is dropped meanwhile leaves it to be reaped.)
    ///
    /// # Errors
    /// Those of the calls, which name the missing permission; none leaves a message in doubt.
    pub async fn create(
        &self,
        suffix: Option<&str>,
        operation: &'static str,
    ) -> Result<CreatedQueue, BackendError> {
        let QueuePlan { prefix, instance, .. } = &*self.plan;
        let mut queue_name = format!("{prefix}-{}", instance.as_str());
        if let Some(suffix) = suffix {
            queue_name.push('-');
            queue_name.push_str(suffix);
        }
        // a worker that is restarted goes by the same name
        let patience = if self.purpose.is_taken_over { DELETED.0 } else { Duration::ZERO };
        let url = self.call_create(&queue_name, operation, Instant::now() + patience).await?;
        let queue = Queue::new(&self.client, &url, self.purpose.role, &self.metrics);
        let created = CreatedQueue {
            maker: self.clone(),
            queue,
            queue_name: queue_name.into(),
            usable_at: Instant::now() + SETTLES,
        };
        if let Err(error) = created.ready().await {
            created.delete().await;
            return Err(error);
        }
        Ok(created)
    }

    /// Creates the queue, or finds that it is there, and returns its URL. Waits until then where a queue of this name was deleted just
    /// now.
    async fn call_create(
        &self,
        name: &str,
        operation: &'static str,
        until: Instant,
    ) -> Result<String, BackendError> {
        let QueuePlan { instance, request_timeout_max, .. } = &*self.plan;
        let retention = (*request_timeout_max + RETENTION_MARGIN).as_secs().clamp(RETENTION.0, RETENTION.1);
        let mut request = self
            .client
            .create_queue()
            .queue_name(name)
            .tags(INSTANCE_TAG, instance.as_str())
            .tags(ALIVE_UNTIL_TAG, alive_until(self.purpose.alive));
        if !self.purpose.is_taken_over {
            // SQS would refuse another value than that of the queue that is there
            request = request.attributes(QueueAttributeName::MessageRetentionPeriod, retention.to_string());
        }
        let Purpose { role, .. } = self.purpose;
        let target = format!("the {role} {name}");
        let permission = "sqs:CreateQueue and sqs:TagQueue";
        let call = Call { operation, permission, target: &target, sends: false };
        let result = loop {
            let sent = request.clone().send().await;
            let service = sent.as_ref().err().and_then(SdkError::as_service_error);
            let wait = service.is_some_and(CreateQueueError::is_queue_deleted_recently);
            let exists = service.is_some_and(CreateQueueError::is_queue_name_exists);
            let result = sent.map_err(|error| call.failed(&error));
            self.metrics.called("CreateQueue", result.as_ref().map(|_| ()));
            match &result {
                Err(error) if wait && Instant::now() < until => {
                    tracing::info!(reason = %error, "waiting for the name of the {role}");
                    sleep(DELETED.1).await;
                }
                // SQS refuses other tags than those of the queue that is there; it gets ours once it is found
                Err(_) if exists && self.purpose.is_taken_over && request.get_tags().is_some() => {
                    request = request.set_tags(None);
                }
                _ => break result,
            }
        };
        let url = result?.queue_url.ok_or_else(|| {
            BackendError::new(ErrorKind::Protocol, operation, format!("{target} was created without a URL"))
        })?;
        tracing::info!(messaging.destination.name = %name, "{role} created");
        Ok(url)
    }

    /// Deletes a queue, its dependents first.
    async fn call_delete(&self, queue: &Queue) -> Result<(), BackendError> {
        let request = self.client.delete_queue().queue_url(queue.url());
        let call =
            Call { operation: "keep", permission: "sqs:DeleteQueue", target: queue.name(), sends: false };
        let result = request.send().await.map_err(|error| call.failed(&error));
        self.metrics.called("DeleteQueue", result.as_ref().map(|_| ()));
        result.map(|_| ())
    }
}

impl CreatedQueue {
    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Resolves once others may be told to use the queue: a second after it was created.
    pub async fn usable(&self) {
        sleep_until(self.usable_at).await;
    }

    /// Says every now and then that the queue is in use, and makes it again should it be gone, until `shutdown` fires.
    pub async fn keep_alive(&self, polls: &PollHealth, shutdown: CancellationToken) {
        let Purpose { role, refresh, .. } = self.maker.purpose;
        let mut refresh_at = Instant::now() + jittered(refresh);
        let mut attached = true;
        while shutdown.run_until_cancelled(sleep(LOOK)).await.is_some() {
            if polls.is_queue_missing() {
                match self.maker.call_create(&self.queue_name, "keep", Instant::now()).await {
                    Ok(_) => {
                        attached = false;
                        tracing::warn!("the {role} was gone: what was in it is lost");
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, error.type = error.kind().as_str(), "the {role} is gone");
                    }
                }
            } else if Instant::now() >= refresh_at {
                refresh_at = Instant::now() + jittered(refresh);
                self.refresh().await;
            }
            if !attached {
                attached = match self.attach().await {
                    Ok(()) => true,
                    Err(error) => {
                        tracing::warn!(error = %error, error.type = error.kind().as_str(), "the {role} is not fed");
                        false
                    }
                };
            }
        }
    }

    /// Deletes the queue and its dependents; what stays behind can be told by its tag, once that has run out.
    pub async fn delete(&self) {
        let Purpose { role, .. } = self.maker.purpose;
        if let Some(dependents) = &self.maker.plan.dependents
            && let Err(error) = dependents.detach(&self.queue).await
        {
            tracing::warn!(error = %error, error.type = error.kind().as_str(), "what feeds the {role} stays behind");
        }
        match self.maker.call_delete(&self.queue).await {
            Ok(()) => {
                tracing::info!(messaging.destination.name = self.queue.name(), "{role} deleted");
            }
            Err(error) => {
                tracing::warn!(error = %error, error.type = error.kind().as_str(), "the {role} stays behind");
            }
        }
    }

    /// Deletes the queue and its dependents, and says whether that went well.
    ///
    /// # Errors
    /// Those of the calls.
    pub async fn try_delete(&self) -> Result<(), BackendError> {
        if let Some(dependents) = &self.maker.plan.dependents {
            dependents.detach(&self.queue).await?;
        }
        self.maker.call_delete(&self.queue).await
    }

    async fn ready(&self) -> Result<(), BackendError> {
        let until = self.usable_at + NEW.0;
        loop {
            match self.queue.check_receives().await {
                Err(error) if error.kind() == ErrorKind::Config && Instant::now() < until => {
                    sleep(NEW.1).await;
                }
                checked => break checked?,
            }
        }
        if self.maker.purpose.is_taken_over {
            // the tags of a queue that was there are those of before
            self.refresh().await;
        }
        self.attach().await
    }

    async fn attach(&self) -> Result<(), BackendError> {
        match &self.maker.plan.dependents {
            Some(dependents) => dependents.attach(&self.queue).await,
            None => Ok(()),
        }
    }

    async fn refresh(&self) {
        let QueueMaker { client, metrics, pace, plan, purpose: Purpose { role, alive, .. } } = &self.maker;
        pace.turn().await;
        let request = client
            .tag_queue()
            .queue_url(self.queue.url())
            .tags(INSTANCE_TAG, plan.instance.as_str())
            .tags(ALIVE_UNTIL_TAG, alive_until(*alive));
        let call =
            Call { operation: "keep", permission: "sqs:TagQueue", target: self.queue.name(), sends: false };
        let result = request.send().await.map_err(|error| call.failed(&error));
        metrics.called("TagQueue", result.as_ref().map(|_| ()));
        if let Err(error) = result {
            tracing::warn!(error = %error, error.type = error.kind().as_str(), "the {role}'s tag was not refreshed");
        }
    }
}
