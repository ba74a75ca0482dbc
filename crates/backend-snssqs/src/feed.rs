//! What hangs on a queue of our own making: the policy that lets the response topic send to it, and the subscription that does.

mod orphans;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use aws_common::{Call, Dependents, Queue, jittered};
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use proxy_core::{
    error::{BackendError, ErrorKind},
    id::InstanceId,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    proof::Proof,
    subscriptions::{Delivery, filter_of},
    topic::Topic,
};

/// How often the subscription is made sure of, at the least.
const REFRESH: Duration = Duration::from_mins(5);

/// Feeds a created queue from the response topic.
#[derive(Debug)]
pub(crate) struct Feed {
    sqs: Client,
    topic: Arc<Topic>,
    filter: String,
    raw: bool,
    prefix: Box<str>,
    proof: Arc<Proof>,
    own: Mutex<Option<Own>>,
}

/// Our own queue and its subscription.
#[derive(Debug, Clone)]
struct Own {
    queue_url: Box<str>,
    queue_arn: Box<str>,
    subscription_arn: Box<str>,
}

impl Feed {
    /// Feeds the queues under `prefix` from `topic` with what is for `instance`. `proof` hears when the way was made anew.
    pub(crate) fn new(
        sqs: Client,
        topic: Arc<Topic>,
        instance: &InstanceId,
        raw: bool,
        prefix: &str,
        proof: Arc<Proof>,
    ) -> Self {
        let filter = filter_of(instance.as_str());
        Self { sqs, topic, filter, raw, prefix: prefix.into(), proof, own: Mutex::default() }
    }

    /// Makes the subscription again should it be gone, and removes those whose queues are gone, until `shutdown` fires.
    pub(crate) async fn keep(&self, shutdown: CancellationToken) {
        let refreshing = async {
            loop {
                sleep(jittered(REFRESH)).await;
                self.refresh().await;
            }
        };
        tokio::join!(
            shutdown.run_until_cancelled(Box::pin(refreshing)),
            shutdown.run_until_cancelled(Box::pin(self.reap_orphans()))
        );
    }

    async fn refresh(&self) {
        let Some(own) = self.own().clone() else { return };
        match self.subscribe("keep", &own.queue_arn).await {
            Ok(arn) if *arn == *own.subscription_arn => {}
            Ok(arn) => {
                tracing::warn!(
                    "the subscription of the reply queue was gone: what was published meanwhile is lost"
                );
                *self.own() = Some(Own { subscription_arn: arn.into(), ..own });
                self.proof.lost();
            }
            Err(error) => {
                tracing::warn!(error = %error, error.type = error.kind().as_str(), "the subscription of the reply queue cannot be made sure of");
            }
        }
    }

    async fn subscribe(&self, operation: &'static str, queue_arn: &str) -> Result<String, BackendError> {
        let delivery = Delivery { filter: Some(&self.filter), raw: self.raw };
        self.topic.subscribe(operation, queue_arn, delivery).await
    }

    /// Lets the response topic send to the queue, and no other topic or account.
    async fn permit(
        &self,
        operation: &'static str,
        queue: &Queue,
        queue_arn: &str,
    ) -> Result<(), BackendError> {
        let policy = queue_policy(queue_arn, self.topic.arn());
        let request = self.sqs.set_queue_attributes().queue_url(queue.url());
        let call =
            Call { operation, permission: "sqs:SetQueueAttributes", target: queue.name(), sends: false };
        let result = request.attributes(QueueAttributeName::Policy, policy).send().await;
        let result = result.map(|_| ()).map_err(|error| call.failed(&error));
        self.topic.metrics().called("SetQueueAttributes", result.as_ref().copied());
        result
    }

    fn own(&self) -> MutexGuard<'_, Option<Own>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Dependents for Feed {
    async fn attach(&self, queue: &Queue) -> Result<(), BackendError> {
        let operation = if self.own().is_none() { "start" } else { "keep" };
        let queue_arn = arn_of(queue, operation).await?;
        self.permit(operation, queue, &queue_arn).await?;
        let subscription_arn = self.subscribe(operation, &queue_arn).await?.into();
        *self.own() =
            Some(Own { queue_url: queue.url().into(), queue_arn: queue_arn.into(), subscription_arn });
        self.proof.lost();
        Ok(())
    }

    async fn detach(&self, queue: &Queue) -> Result<(), BackendError> {
        let own = self.own().take_if(|own| *own.queue_url == *queue.url());
        if let Some(own) = own {
            return self.topic.unsubscribe(&own.subscription_arn).await;
        }
        let queue_arn = match arn_of(queue, "keep").await {
            // whoever deleted it saw to its subscription too, or the look for orphans does
            Err(error) if error.kind() == ErrorKind::Config => return Ok(()),
            arn => arn?,
        };
        for subscription in self.topic.subscriptions("keep").await? {
            if let Some(arn) = subscription.arn.filter(|_| *subscription.queue_arn == *queue_arn) {
                self.topic.unsubscribe(&arn).await?;
            }
        }
        Ok(())
    }
}

/// The queue's ARN, as SQS says it.
pub(crate) async fn arn_of(queue: &Queue, operation: &'static str) -> Result<String, BackendError> {
    let mut attributes = queue.attributes(operation, [QueueAttributeName::QueueArn]).await?;
    attributes.remove(&QueueAttributeName::QueueArn).ok_or_else(|| {
        BackendError::new(ErrorKind::Protocol, operation, format!("{} has no ARN", queue.name()))
    })
}

/// The policy of a queue that one topic sends to (SNS developer guide, "Subscribing an Amazon SQS queue to an Amazon SNS topic").
/// The proxy's own identity needs no statement here: it is of the queue's account.
pub(crate) fn queue_policy(queue_arn: &str, topic_arn: &str) -> String {
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "TopicSends",
            "Effect": "Allow",
            "Principal": { "Service": "sns.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": { "ArnEquals": { "aws:SourceArn": topic_arn } }
        }]
    })
    .to_string()
}
