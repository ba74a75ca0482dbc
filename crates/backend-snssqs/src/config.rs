//! The settings of the SNS+SQS backend.

use std::{collections::BTreeMap, time::Duration};

use aws_common::{
    LargePayloadsConfig,
    attributes::{is_fifo, operator_problems},
    client::{ClientSettings, region_of},
    operator::queue_arn,
    settings::{
        LARGEST_BATCH, LONGEST_WAIT, QueueKind, client_id_problem, endpoint_problem, prefix_problem,
        queue_url_problem, receive_problems, region_problem,
    },
};
use proxy_core::{
    AddressRules,
    config::{Problem, duration},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{arn::Arn, topic_arn};

/// The table `[backend.snssqs]`: the topics, and how the queue is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SnsSqsConfig {
    /// The ARN of the topic that requests are published to. Required; a standard topic or a FIFO topic, to which the MCP server's
    /// queue is subscribed.
    pub sns_topic_arn: String,
    /// The ARN of the topic that the server publishes answers to. Required; a standard topic, another one than `sns_topic_arn`. It may
    /// be shared by many proxies.
    pub response_topic_arn: String,
    /// The URL of the queue that answers are read from, which is subscribed to the response topic. Left out: a queue and its
    /// subscription, which brings this proxy's answers only, are created at start and deleted at the end.
    pub sqs_queue_url: Option<String>,
    /// Whether the created subscription delivers messages as they are, and not in an envelope of SNS. Default `true`. What is read
    /// from the queue may be either.
    pub raw_message_delivery: bool,
    /// What the server knows this proxy by (`ClientId`): 1 to 256 visible ASCII characters. Left out: random at each start.
    pub client_id: Option<String>,
    /// Where SNS and SQS are reached, for an emulator. Left out: AWS's own for the region. Where the two differ, set
    /// `AWS_ENDPOINT_URL_SNS` and `AWS_ENDPOINT_URL_SQS` in its place.
    pub endpoint_url: Option<String>,
    /// The AWS region of the queue; those of the topics are in their ARNs. Left out: that of the queue's URL, else that of the topics.
    pub region: Option<String>,
    /// How long a poll waits for messages; whole seconds, 0 to 20 s (SQS `WaitTimeSeconds`). Default 20 s.
    #[serde(with = "duration", alias = "wait_time_seconds")]
    #[schemars(with = "duration::Schema")]
    pub wait_time: Duration,
    /// How many messages a poll takes, 1 to 10 (SQS `MaxNumberOfMessages`). Default 10.
    pub max_messages: u8,
    /// How long a message that was read stays hidden from other readers until it is deleted; whole seconds, 1 s to 12 h (SQS
    /// `VisibilityTimeout`). Default 30 s.
    #[serde(with = "duration", alias = "visibility_timeout_seconds")]
    #[schemars(with = "duration::Schema")]
    pub visibility_timeout: Duration,
    /// What the name of a created response queue begins with: 1 to 57 of `A-Z a-z 0-9 - _`. Default `mcp-proxy-responses`.
    pub response_queue_prefix: String,
    /// A message attribute of the operator's own, put on every request. At most one: SQS takes ten, and the protocol needs the
    /// other nine.
    pub message_attributes: BTreeMap<String, String>,
    /// The name of the queue that the MCP server reads requests from, which only `provision` and `doctor` use. Left out: the name of
    /// the request topic.
    pub server_queue_name: Option<String>,
    /// Which queues a worker may name for its sessions' later requests (`owner`), which then go there by SQS and not by the topic:
    /// patterns of queue URLs, in which `*` stands for any characters. Left out: the queues beside the one that answers are read from,
    /// and those of this machine. `[]`: none, so that all requests go by the topic.
    pub owner_allow: Option<Vec<String>>,
    /// Messages over the transport's limit go by way of S3: the table `large_payloads`. Left out: they are refused.
    pub large_payloads: Option<LargePayloadsConfig>,
}

impl Default for SnsSqsConfig {
    fn default() -> Self {
        Self {
            sns_topic_arn: String::new(),
            response_topic_arn: String::new(),
            sqs_queue_url: None,
            raw_message_delivery: true,
            client_id: None,
            endpoint_url: None,
            region: None,
            wait_time: LONGEST_WAIT,
            max_messages: LARGEST_BATCH,
            visibility_timeout: Duration::from_secs(30),
            response_queue_prefix: "mcp-proxy-responses".to_owned(),
            message_attributes: BTreeMap::new(),
            server_queue_name: None,
            owner_allow: None,
            large_payloads: None,
        }
    }
}

impl SnsSqsConfig {
    /// The settings for a server that takes requests from the first topic and publishes answers to the second, all else as it is by
    /// default.
    pub fn new(sns_topic_arn: impl Into<String>, response_topic_arn: impl Into<String>) -> Self {
        Self {
            sns_topic_arn: sns_topic_arn.into(),
            response_topic_arn: response_topic_arn.into(),
            ..Self::default()
        }
    }

    /// Everything that is wrong with these settings, keys named within the table `[backend.snssqs]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = self.topic_problems();
        let queue_url = self.sqs_queue_url.as_deref();
        problems
            .extend(queue_url.and_then(|url| queue_url_problem("sqs_queue_url", url, QueueKind::Standard)));
        let endpoint_url = self.endpoint_url.as_deref();
        problems.extend(endpoint_url.and_then(|url| endpoint_problem("endpoint_url", url)));
        problems.extend(self.client_id.as_deref().and_then(client_id_problem));
        problems.extend(self.region.as_deref().and_then(region_problem));
        problems.extend(prefix_problem("response_queue_prefix", &self.response_queue_prefix));
        problems.extend(receive_problems(self.wait_time, self.visibility_timeout, self.max_messages));
        problems.extend(operator_problems(&self.message_attributes));
        problems.extend(LargePayloadsConfig::problems_of(self.large_payloads.as_ref()));
        problems.extend(self.server_queue_problem());
        if let Some(patterns) = &self.owner_allow {
            problems.extend(AddressRules::configured("owner_allow", patterns).err().into_iter().flatten());
        }
        problems
    }

    /// The ARN of the queue that the server reads, beside the request topic.
    pub(crate) fn server_queue_arn(&self) -> String {
        let topic = Arn::parse(&self.sns_topic_arn);
        topic.map_or_else(String::new, |topic| {
            topic.queue_beside(self.server_queue_name.as_deref().unwrap_or(topic.name))
        })
    }

    /// The URL of that queue, at AWS or at the endpoint that is set.
    pub(crate) fn server_queue_url(&self) -> String {
        let arn = self.server_queue_arn();
        let Some(Arn { region, account, name, partition, .. }) = Arn::parse(&arn) else {
            return String::new();
        };
        let host = self.endpoint_url.as_deref().map_or_else(
            || {
                let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
                format!("https://sqs.{region}.{domain}")
            },
            |endpoint| endpoint.trim_end_matches('/').to_owned(),
        );
        format!("{host}/{account}/{name}")
    }

    /// The ARN of the queue that answers are read from, where one is given.
    pub(crate) fn reply_queue_arn(&self) -> Option<String> {
        let topics = Arn::parse(&self.response_topic_arn).map(|topic| topic.region);
        Some(queue_arn(self.sqs_queue_url.as_deref()?, self.region.as_deref().or(topics)))
    }

    /// What the client of that queue is made from.
    pub(crate) fn queue_settings(&self) -> ClientSettings {
        ClientSettings {
            endpoint_url: self.endpoint_url.clone(),
            region: self.reply_queue_region().map(Into::into),
        }
    }

    /// The region of that queue, unless it is that of the topics: the setting's or the URL's.
    pub(crate) fn reply_queue_region(&self) -> Option<&str> {
        self.region.as_deref().or_else(|| region_of(self.sqs_queue_url.as_deref()?))
    }

    fn topic_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(topic_arn::problem("sns_topic_arn", &self.sns_topic_arn, true));
        problems.extend(topic_arn::problem("response_topic_arn", &self.response_topic_arn, false));
        let (Some(requests), Some(answers)) =
            (Arn::parse(&self.sns_topic_arn), Arn::parse(&self.response_topic_arn))
        else {
            return problems;
        };
        if requests == answers {
            problems.push(Problem::new(
                "response_topic_arn",
                "is the sns_topic_arn, so the server would get its own answers and the proxy none",
                "write the ARN of a topic of its own",
            ));
        } else if requests.region != answers.region {
            problems.push(Problem::new(
                "response_topic_arn",
                format!("is in {}, but sns_topic_arn in {}", answers.region, requests.region),
                "write the ARN of a topic in the same region",
            ));
        }
        problems
    }

    fn server_queue_problem(&self) -> Option<Problem> {
        let name = self.server_queue_name.as_deref()?;
        let stem = name.strip_suffix(".fifo").unwrap_or(name);
        let is_named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let good = name.len() <= 80 && !stem.is_empty() && stem.bytes().all(is_named);
        if good && is_fifo(name) && !is_fifo(&self.sns_topic_arn) {
            return Some(Problem::new(
                "server_queue_name",
                format!("is {name:?}, a FIFO queue, which SNS does not let subscribe to a standard topic"),
                "write the name of a standard queue, or the ARN of a FIFO topic for sns_topic_arn",
            ));
        }
        (!good).then(|| {
            Problem::new(
                "server_queue_name",
                format!("is {name:?}, which is no queue's name"),
                "write at most 80 letters, digits, dashes and underscores, without URL or ARN around it",
            )
        })
    }
}

#[cfg(test)]
mod tests;
