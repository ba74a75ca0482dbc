//! The settings of the SNS+SQS intake.

use std::time::Duration;

use aws_common::{
    LargePayloadsConfig,
    attributes::is_fifo,
    client::ClientSettings,
    operator::queue_arn,
    settings::{
        LARGEST_BATCH, LONGEST_WAIT, QueueKind, dead_letter_problem, endpoint_problem, prefix_problem,
        queue_url_problem, receive_problems, region_problem,
    },
};
use proxy_core::config::{Problem, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{arn::Arn, topic_arn};

/// What the name of a worker's own queue begins with, unless it is told otherwise.
pub(crate) const OWN_QUEUE_PREFIX: &str = "mcp-worker";

/// The table `[intake.snssqs]`: the queue that requests come to by way of a topic, and how it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SnsSqsIntakeConfig {
    /// The URL of the queue that is subscribed to the request topic. Required; a standard or a FIFO queue, which many workers may read.
    #[serde(alias = "sqs_queue_url")]
    pub queue_url: String,
    /// The ARN of the request topic, which only `provision` and `doctor` use. Left out: `provision` makes no subscription, and `doctor`
    /// looks at none.
    pub request_topic_arn: Option<String>,
    /// Whether the subscription that `provision` makes delivers messages as they are, and not in an envelope of SNS. Default `true`. What
    /// is read from the queue may be either.
    pub raw_message_delivery: bool,
    /// The URL of the queue that requests go to which can never be done, with the reason. Left out: the dead-letter queue of the
    /// queue's redrive policy; without one, they are deleted.
    pub dead_letter_queue_url: Option<String>,
    /// What the name of the queue begins with that this worker creates for the later requests of its own sessions: 1 to 57 of
    /// `A-Z a-z 0-9 - _`. Default `mcp-worker`. Queues under it that workers left behind which died are deleted by those that live.
    pub own_queue_prefix: String,
    /// Where SNS and SQS are reached, for an emulator. Left out: AWS's own for the region. Where the two differ, set
    /// `AWS_ENDPOINT_URL_SNS` and `AWS_ENDPOINT_URL_SQS` in its place.
    pub endpoint_url: Option<String>,
    /// The AWS region of the queue; those of the topics are in their ARNs. Left out: that of the queue's URL.
    pub region: Option<String>,
    /// How long a poll waits for messages; whole seconds, 0 to 20 s (SQS `WaitTimeSeconds`). Default 20 s.
    #[serde(with = "duration", alias = "wait_time_seconds")]
    #[schemars(with = "duration::Schema")]
    pub wait_time: Duration,
    /// How many messages a poll takes, 1 to 10 (SQS `MaxNumberOfMessages`). Default 10.
    pub max_messages: u8,
    /// How long a request stays hidden from other workers; whole seconds, 1 s to 12 h (SQS `VisibilityTimeout`). Extended while it is
    /// worked on. Default 30 s.
    #[serde(with = "duration", alias = "visibility_timeout_seconds")]
    #[schemars(with = "duration::Schema")]
    pub visibility_timeout: Duration,
    /// Messages over the transport's limit go by way of S3: the table `large_payloads`. Left out: they are refused.
    pub large_payloads: Option<LargePayloadsConfig>,
}

impl Default for SnsSqsIntakeConfig {
    fn default() -> Self {
        Self {
            queue_url: String::new(),
            request_topic_arn: None,
            raw_message_delivery: true,
            dead_letter_queue_url: None,
            own_queue_prefix: OWN_QUEUE_PREFIX.to_owned(),
            endpoint_url: None,
            region: None,
            wait_time: LONGEST_WAIT,
            max_messages: LARGEST_BATCH,
            visibility_timeout: Duration::from_secs(30),
            large_payloads: None,
        }
    }
}

impl SnsSqsIntakeConfig {
    /// The settings for a worker that reads the queue with this URL, all else as it is by default.
    pub fn new(queue_url: impl Into<String>) -> Self {
        Self { queue_url: queue_url.into(), ..Self::default() }
    }

    /// Everything that is wrong with these settings, keys named within the table `[intake.snssqs]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(queue_url_problem("queue_url", &self.queue_url, QueueKind::Any));
        problems.extend(self.topic_problem());
        let letters = self.dead_letter_queue_url.as_deref();
        problems.extend(letters.and_then(|url| dead_letter_problem(url, &self.queue_url)));
        problems.extend(prefix_problem("own_queue_prefix", &self.own_queue_prefix));
        let endpoint_url = self.endpoint_url.as_deref();
        problems.extend(endpoint_url.and_then(|url| endpoint_problem("endpoint_url", url)));
        problems.extend(self.region.as_deref().and_then(region_problem));
        problems.extend(receive_problems(self.wait_time, self.visibility_timeout, self.max_messages));
        problems.extend(LargePayloadsConfig::problems_of(self.large_payloads.as_ref()));
        problems
    }

    pub(crate) fn client_settings(&self) -> ClientSettings {
        ClientSettings { endpoint_url: self.endpoint_url.clone(), region: self.region.clone() }
    }

    /// The ARN of the queue, as far as settings and URL tell.
    pub(crate) fn queue_arn(&self) -> String {
        let topics = self.request_topic_arn.as_deref().and_then(Arn::parse).map(|topic| topic.region);
        queue_arn(&self.queue_url, self.region.as_deref().or(topics))
    }

    fn topic_problem(&self) -> Option<Problem> {
        const KEY: &str = "request_topic_arn";
        let arn = self.request_topic_arn.as_deref()?;
        if let Some(problem) = topic_arn::problem(KEY, arn, true) {
            return Some(problem);
        }
        (is_fifo(&self.queue_url) && !is_fifo(arn)).then(|| {
            Problem::new(
                KEY,
                "is a standard topic, to which SNS does not let the FIFO queue of queue_url subscribe",
                "write the ARN of a FIFO topic, or the URL of a standard queue",
            )
        })
    }
}

#[cfg(test)]
mod tests;
