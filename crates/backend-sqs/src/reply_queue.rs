//! The queue that answers are read from: a given one, or one of our own making.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_common::{Call, PollHealth, jittered};
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
    id::InstanceId,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::queues::Queue;

/// The tag that names the instance that a queue belongs to.
const INSTANCE_TAG: &str = "mcp-proxy-instance";

/// The tag with the Unix seconds until which its owner is taken to live.
const ALIVE_UNTIL_TAG: &str = "mcp-proxy-alive-until";

/// How often a created queue's tag is refreshed, at the least.
const REFRESH: Duration = Duration::from_mins(5);

/// How often the queue is looked after.
const LOOK: Duration = Duration::from_secs(5);

/// How long the owner is taken to live after a refresh: two may fail.
const ALIVE: Duration = Duration::from_mins(15);

/// For how long answers are kept past the longest request.
const RETENTION_MARGIN: Duration = Duration::from_hours(1);

/// The retention that SQS takes, in seconds (AWS, `MessageRetentionPeriod`).
const RETENTION: (u64, u64) = (60, 1_209_600);

/// The queue that answers are read from.
#[derive(Debug)]
pub(crate) struct ReplyQueue {
    queue: Queue,
    owned: Option<Owned>,
}

/// What a created queue is made from.
#[derive(Debug)]
struct Owned {
    client: Client,
    metrics: BackendMetrics,
    name: Box<str>,
    instance: InstanceId,
    retention: u64,
}

impl ReplyQueue {
    /// A queue that exists. Checks that it does, and that we may use it.
    pub(crate) async fn given(queue: Queue) -> Result<Self, BackendError> {
        queue.message_bytes("start").await?;
        queue.check_receives().await?;
        Ok(Self { queue, owned: None })
    }

    /// Creates a queue named after the instance, with its tags from the first moment on.
    pub(crate) async fn create(
        client: &Client,
        prefix: &str,
        instance: &InstanceId,
        request_timeout_max: Duration,
        metrics: &BackendMetrics,
    ) -> Result<Self, BackendError> {
        let retention = (request_timeout_max + RETENTION_MARGIN).as_secs().clamp(RETENTION.0, RETENTION.1);
        let owned = Owned {
            client: client.clone(),
            metrics: metrics.clone(),
            name: format!("{prefix}-{}", instance.as_str()).into(),
            instance: instance.clone(),
            retention,
        };
        let url = owned.create("start").await?;
        let created = Self { queue: Queue::new(client, &url, "reply queue", metrics), owned: Some(owned) };
        if let Err(error) = created.queue.check_receives().await {
            created.delete().await;
            return Err(error);
        }
        Ok(created)
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Says every five minutes or so that a created queue is in use, and makes it again should it be gone, until `shutdown` fires.
    pub(crate) async fn keep_alive(&self, polls: &PollHealth, shutdown: CancellationToken) {
        let Some(owned) = &self.owned else { return };
        let mut refresh_at = Instant::now() + jittered(REFRESH);
        while shutdown.run_until_cancelled(sleep(LOOK)).await.is_some() {
            if polls.is_queue_missing() {
                match owned.create("keep").await {
                    Ok(_) => tracing::warn!("the reply queue was gone: what was in it is lost"),
                    Err(error) => {
                        tracing::warn!(error = %error, error.type = error.kind().as_str(), "the reply queue is gone");
                    }
                }
            } else if Instant::now() >= refresh_at {
                refresh_at = Instant::now() + jittered(REFRESH);
                self.refresh(owned).await;
            }
        }
    }

    async fn refresh(&self, Owned { client, metrics, .. }: &Owned) {
        let request = client.tag_queue().queue_url(self.queue.url()).tags(ALIVE_UNTIL_TAG, alive_until());
        let result = request.send().await.map_err(|error| self.call("sqs:TagQueue").failed(&error));
        metrics.called("TagQueue", result.as_ref().map(|_| ()));
        if let Err(error) = result {
            tracing::warn!(error = %error, error.type = error.kind().as_str(), "the reply queue's tag was not refreshed");
        }
    }

    /// Deletes a created queue; one that stays behind can be told by its tag, once that has run out.
    pub(crate) async fn delete(&self) {
        let Some(Owned { client, metrics, .. }) = &self.owned else { return };
        let request = client.delete_queue().queue_url(self.queue.url());
        let result = request.send().await.map_err(|error| self.call("sqs:DeleteQueue").failed(&error));
        metrics.called("DeleteQueue", result.as_ref().map(|_| ()));
        match result {
            Ok(_) => tracing::info!(messaging.destination.name = self.queue.name(), "reply queue deleted"),
            Err(error) => {
                tracing::warn!(error = %error, error.type = error.kind().as_str(), "the reply queue stays behind");
            }
        }
    }

    fn call(&self, permission: &'static str) -> Call<'_> {
        Call { operation: "keep", permission, target: self.queue.name(), sends: false }
    }
}

impl Owned {
    /// Creates the queue, or finds that it is there, and returns its URL.
    async fn create(&self, operation: &'static str) -> Result<String, BackendError> {
        let Self { client, metrics, name, instance, retention } = self;
        let request = client
            .create_queue()
            .queue_name(&**name)
            .attributes(QueueAttributeName::MessageRetentionPeriod, retention.to_string())
            .tags(INSTANCE_TAG, instance.as_str())
            .tags(ALIVE_UNTIL_TAG, alive_until());
        let target = format!("the reply queue {name}");
        let permission = "sqs:CreateQueue and sqs:TagQueue";
        let call = Call { operation, permission, target: &target, sends: false };
        let result = request.send().await.map_err(|error| call.failed(&error));
        metrics.called("CreateQueue", result.as_ref().map(|_| ()));
        let url = result?.queue_url.ok_or_else(|| {
            BackendError::new(ErrorKind::Protocol, operation, format!("{target} was created without a URL"))
        })?;
        tracing::info!(messaging.destination.name = %name, "reply queue created");
        Ok(url)
    }
}

fn alive_until() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now + ALIVE).as_secs().to_string()
}
