//! One topic: what starting and readiness look at, and the sender's batches.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use aws_common::{Call, Destination, Outcomes, attributes::OutgoingMessage};
use aws_sdk_sns::{
    Client,
    error::BuildError,
    types::{MessageAttributeValue, PublishBatchRequestEntry},
};
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
};
use tokio::time::Instant;

/// What a topic takes that does not say (SNS, "Amazon SNS endpoints and quotas": 256 KiB).
pub(crate) const DEFAULT_MESSAGE_BYTES: usize = 262_144;

/// How long an answer about a topic is good for, since readiness is asked often.
const CHECKED_FOR: Duration = Duration::from_secs(10);

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    client: Client,
    arn: Box<str>,
    /// What errors call it at start, for operators: role and ARN.
    described: Box<str>,
    /// What errors call it later, for clients too: role and name.
    name: Box<str>,
    metrics: BackendMetrics,
    checked: Mutex<Option<Instant>>,
}

impl Topic {
    pub(crate) fn new(client: &Client, arn: &str, role: &str, metrics: &BackendMetrics) -> Self {
        let short = arn.rsplit(':').next().unwrap_or(arn);
        Self {
            client: client.clone(),
            arn: arn.into(),
            described: format!("the {role} {arn}").into(),
            name: format!("the {role} {short}").into(),
            metrics: metrics.clone(),
            checked: Mutex::default(),
        }
    }

    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn metrics(&self) -> &BackendMetrics {
        &self.metrics
    }

    /// What errors and logs call it: role and name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A call about it, for its errors: at `start` with the ARN, otherwise with the name.
    pub(crate) fn call(&self, operation: &'static str, permission: &'static str) -> Call<'_> {
        let target = if operation == "start" { &self.described } else { &self.name };
        Call { operation, permission, target, sends: false }
    }

    /// Its attributes; says whether it exists and may be looked at.
    pub(crate) async fn attributes(
        &self,
        operation: &'static str,
    ) -> Result<HashMap<String, String>, BackendError> {
        let result = self.client.get_topic_attributes().topic_arn(&*self.arn).send().await;
        let call = self.call(operation, "sns:GetTopicAttributes");
        let result = result.map_err(|error| call.failed(&error));
        self.metrics.called("GetTopicAttributes", result.as_ref().map(|_| ()));
        Ok(result?.attributes.unwrap_or_default())
    }

    /// The largest message that it takes.
    pub(crate) async fn message_bytes(&self, operation: &'static str) -> Result<usize, BackendError> {
        let attributes = self.attributes(operation).await?;
        let size = attributes.get("MaximumMessageSize").and_then(|size| size.parse().ok());
        Ok(size.unwrap_or(DEFAULT_MESSAGE_BYTES))
    }

    /// Whether we may publish to it: an empty batch is refused for being empty, or before that for lack of the permission.
    pub(crate) async fn check_publishes(&self) -> Result<(), BackendError> {
        let probe = self.client.publish_batch().topic_arn(&*self.arn);
        let result = probe.set_publish_batch_request_entries(Some(Vec::new())).send().await;
        let call = self.call("start", "sns:Publish");
        let result = match result.map_err(|error| call.failed(&error)) {
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Config) => Err(error),
            _ => Ok(()),
        };
        self.metrics.called("PublishBatch", result.as_ref().copied());
        result
    }

    /// Whether it is there; asks at most every ten seconds, as long as the answers are good.
    pub(crate) async fn check(&self) -> Result<(), BackendError> {
        let now = Instant::now();
        let checked = *self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.is_some_and(|checked| now.duration_since(checked) < CHECKED_FOR) {
            return Ok(());
        }
        self.attributes("check").await?;
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }
}

/// A topic, standard or FIFO, as what the batching sender sends to.
#[derive(Debug)]
pub(crate) struct TopicDestination {
    client: Client,
    arn: Box<str>,
}

impl TopicDestination {
    pub(crate) fn new(topic: &Topic) -> Self {
        Self { client: topic.client.clone(), arn: topic.arn.clone() }
    }
}

#[async_trait]
impl Destination for TopicDestination {
    fn action(&self) -> &'static str {
        "PublishBatch"
    }

    fn permission(&self) -> &'static str {
        "sns:Publish"
    }

    async fn transmit(
        &self,
        messages: &[&OutgoingMessage],
        call: Call<'_>,
    ) -> Result<Outcomes, BackendError> {
        let mut entries = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            entries.push(entry(index, message).map_err(unmade)?);
        }
        let request = self.client.publish_batch().topic_arn(&*self.arn);
        let request = request.set_publish_batch_request_entries(Some(entries));
        let output = request.send().await.map_err(|error| call.failed(&error))?;
        let mut outcomes = Outcomes::default();
        for failed in output.failed() {
            outcomes.failed(failed.id(), failed.code(), failed.sender_fault());
        }
        for sent in output.successful() {
            outcomes.sent(sent.id().unwrap_or_default());
        }
        Ok(outcomes)
    }
}

fn entry(index: usize, message: &OutgoingMessage) -> Result<PublishBatchRequestEntry, BuildError> {
    let mut entry = PublishBatchRequestEntry::builder().id(index.to_string()).message(&message.body);
    for attribute in &message.attributes {
        let value = text_attribute(attribute.data_type.as_str(), &attribute.value)?;
        entry = entry.message_attributes(&*attribute.name, value);
    }
    if let Some(group) = &message.group {
        entry = entry.message_group_id(&*group.id).message_deduplication_id(&*group.deduplication_id);
    }
    entry.build()
}

/// A message attribute with this value.
pub(crate) fn text_attribute(data_type: &str, value: &str) -> Result<MessageAttributeValue, BuildError> {
    MessageAttributeValue::builder().data_type(data_type).string_value(value).build()
}

/// An attribute or entry lacks a part, which none of ours does.
pub(crate) fn unmade(error: BuildError) -> BackendError {
    BackendError::new(ErrorKind::Protocol, "send", "the message cannot be put into a request")
        .with_source(error)
}
