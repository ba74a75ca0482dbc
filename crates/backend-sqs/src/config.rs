//! The settings of the SQS backend.

use std::{collections::BTreeMap, time::Duration};

use aws_common::{
    LargePayloadsConfig,
    attributes::operator_problems,
    client::ClientSettings,
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

/// The longest prefix where each session's queue also has a dash and 16 characters of its own in its name.
const LONGEST_SESSION_PREFIX: usize = 40;

/// The table `[backend.sqs]`: the queues, and how they are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SqsConfig {
    /// The URL of the queue that the MCP server reads requests from. Required; a standard or a FIFO queue.
    pub read_queue_url: String,
    /// The URL of the queue that answers are read from: a standard queue. Left out: one is created at start and deleted at the end.
    pub response_queue_url: Option<String>,
    /// Whose answers share a created response queue: `shared`, the default, is one queue for the process, `per_session` one for each
    /// session, created at its initialize and deleted when it closes. That keeps sessions apart in AWS too, and costs a long poll a
    /// session (some 130,000 calls of `ReceiveMessage` a month at `wait_time` 20 s), and a second or more at initialize.
    pub response_queue: ResponseQueue,
    /// What the server knows this proxy by (`ClientId`): 1 to 256 visible ASCII characters. Left out: random at each start.
    pub client_id: Option<String>,
    /// Where SQS is reached, for an emulator or a private endpoint. Left out: AWS's own for the region.
    pub endpoint_url: Option<String>,
    /// The AWS region. Left out: as in every AWS program (`AWS_REGION`, the profile, the instance).
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
    /// What the name of a created response queue begins with: 1 to 57 of `A-Z a-z 0-9 - _`, 40 with `per_session`. Default
    /// `mcp-proxy-responses`. Queues under it that proxies left behind which died are deleted by those that live.
    pub response_queue_prefix: String,
    /// Which queues a worker may name for its sessions' later requests (`owner`), which then go there and not to `read_queue_url`: patterns
    /// of queue URLs, in which `*` stands for any characters. Left out: the queues beside `read_queue_url`, and where that is on this
    /// machine, all queues on it. With `[]` all requests go to `read_queue_url`.
    pub owner_allow: Option<Vec<String>>,
    /// A message attribute of the operator's own, put on every request. At most one: SQS takes ten, and the protocol needs the
    /// other nine.
    pub message_attributes: BTreeMap<String, String>,
    /// Messages over the transport's limit go by way of S3: the table `large_payloads`. Left out: they are refused.
    pub large_payloads: Option<LargePayloadsConfig>,
}

/// Whose answers share a created response queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseQueue {
    /// One queue for all sessions of the process.
    #[default]
    Shared,
    /// One queue for each session.
    PerSession,
}

impl Default for SqsConfig {
    fn default() -> Self {
        Self {
            read_queue_url: String::new(),
            response_queue_url: None,
            response_queue: ResponseQueue::default(),
            client_id: None,
            endpoint_url: None,
            region: None,
            wait_time: LONGEST_WAIT,
            max_messages: LARGEST_BATCH,
            visibility_timeout: Duration::from_secs(30),
            response_queue_prefix: "mcp-proxy-responses".to_owned(),
            owner_allow: None,
            message_attributes: BTreeMap::new(),
            large_payloads: None,
        }
    }
}

impl SqsConfig {
    /// The settings for a server that reads requests from the queue with this URL, all else as it is by default.
    pub fn new(read_queue_url: impl Into<String>) -> Self {
        Self { read_queue_url: read_queue_url.into(), ..Self::default() }
    }

    /// Everything that is wrong with these settings, keys named within the table `[backend.sqs]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(queue_url_problem("read_queue_url", &self.read_queue_url, QueueKind::Any));
        if let Some(url) = &self.response_queue_url {
            problems.extend(queue_url_problem("response_queue_url", url, QueueKind::Standard));
            if *url == self.read_queue_url {
                problems.push(Problem::new(
                    "response_queue_url",
                    "is the read_queue_url, so requests and answers would be mixed up",
                    "write the URL of a queue of its own, or leave it out to have one created",
                ));
            }
        }
        if self.response_queue == ResponseQueue::PerSession {
            problems.extend(self.per_session_problems());
        }
        let endpoint_url = self.endpoint_url.as_deref();
        problems.extend(endpoint_url.and_then(|url| endpoint_problem("endpoint_url", url)));
        problems.extend(self.client_id.as_deref().and_then(client_id_problem));
        problems.extend(self.region.as_deref().and_then(region_problem));
        problems.extend(prefix_problem("response_queue_prefix", &self.response_queue_prefix));
        problems.extend(receive_problems(self.wait_time, self.visibility_timeout, self.max_messages));
        if let Some(patterns) = &self.owner_allow {
            problems.extend(AddressRules::configured("owner_allow", patterns).err().into_iter().flatten());
        }
        problems.extend(operator_problems(&self.message_attributes));
        problems.extend(LargePayloadsConfig::problems_of(self.large_payloads.as_ref()));
        problems
    }

    pub(crate) fn client_settings(&self) -> ClientSettings {
        ClientSettings { endpoint_url: self.endpoint_url.clone(), region: self.region.clone() }
    }

    fn per_session_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.response_queue_url.is_some() {
            problems.push(Problem::new(
                "response_queue_url",
                "is one queue, where response_queue = \"per_session\" wants one for each session",
                "leave out one of the two",
            ));
        }
        let length = self.response_queue_prefix.len();
        if length > LONGEST_SESSION_PREFIX
            && prefix_problem("response_queue_prefix", &self.response_queue_prefix).is_none()
        {
            problems.push(Problem::new(
                "response_queue_prefix",
                format!("has {length} characters, where the queues of sessions have room for {LONGEST_SESSION_PREFIX}"),
                "write a shorter one",
            ));
        }
        problems
    }
}

#[cfg(test)]
mod tests;
