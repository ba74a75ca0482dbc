//! The settings of the SQS backend.

mod queue_url;

use std::{collections::BTreeMap, time::Duration};

use aws_common::attributes::operator_problems;
use proxy_core::config::{Problem, duration};
use serde::{Deserialize, Serialize};

/// The longest long poll (SQS `ReceiveMessage`, `WaitTimeSeconds`).
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// The largest batch (SQS `ReceiveMessage`, `MaxNumberOfMessages`).
const LARGEST_BATCH: u8 = 10;
/// The longest that a message may stay hidden (SQS `VisibilityTimeout`).
const LONGEST_VISIBILITY: Duration = Duration::from_hours(12);
/// What a created queue's name has room for before the dash and the 22 characters of the instance id: SQS names have at most
/// 80.
const LONGEST_PREFIX: usize = 57;

/// The table `[backend.sqs]`: the queues, and how they are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SqsConfig {
    /// The URL of the queue that the MCP server reads requests from. Required; a standard queue.
    pub read_queue_url: String,
    /// The URL of the queue that answers are read from. Left out: one is created at start and deleted at the end.
    pub response_queue_url: Option<String>,
    /// What the server knows this proxy by (`ClientId`): 1 to 256 visible ASCII characters. Left out: random at each start.
    pub client_id: Option<String>,
    /// Where SQS is reached, for an emulator or a private endpoint. Left out: AWS's own for the region.
    pub endpoint_url: Option<String>,
    /// The AWS region. Left out: as in every AWS program (`AWS_REGION`, the profile, the instance).
    pub region: Option<String>,
    /// How long a poll waits for messages; whole seconds, 0 to 20 s (SQS `WaitTimeSeconds`). Default 20 s.
    #[serde(with = "duration", alias = "wait_time_seconds")]
    pub wait_time: Duration,
    /// How many messages a poll takes, 1 to 10 (SQS `MaxNumberOfMessages`). Default 10.
    pub max_messages: u8,
    /// How long a message that was read stays hidden from other readers until it is deleted; whole seconds, 1 s to 12 h (SQS
    /// `VisibilityTimeout`). Default 30 s.
    #[serde(with = "duration", alias = "visibility_timeout_seconds")]
    pub visibility_timeout: Duration,
    /// What the name of a created response queue begins with: 1 to 57 of `A-Z a-z 0-9 - _`. Default `mcp-proxy-responses`.
    pub response_queue_prefix: String,
    /// A message attribute of the operator's own, put on every request. At most one: SQS takes ten, and the protocol needs the
    /// other nine.
    pub message_attributes: BTreeMap<String, String>,
}

impl Default for SqsConfig {
    fn default() -> Self {
        Self {
            read_queue_url: String::new(),
            response_queue_url: None,
            client_id: None,
            endpoint_url: None,
            region: None,
            wait_time: LONGEST_WAIT,
            max_messages: LARGEST_BATCH,
            visibility_timeout: Duration::from_secs(30),
            response_queue_prefix: "mcp-proxy-responses".to_owned(),
            message_attributes: BTreeMap::new(),
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
        problems.extend(queue_url::problem("read_queue_url", &self.read_queue_url));
        if let Some(url) = &self.response_queue_url {
            problems.extend(queue_url::problem("response_queue_url", url));
            if *url == self.read_queue_url {
                problems.push(Problem::new(
                    "response_queue_url",
                    "is the read_queue_url, so requests and answers would be mixed up",
                    "write the URL of a queue of its own, or leave it out to have one created",
                ));
            }
        }
        if let Some(url) = &self.endpoint_url {
            problems.extend(queue_url::endpoint_problem("endpoint_url", url));
        }
        problems.extend(self.identity_problems());
        problems.extend(self.receive_problems());
        problems.extend(operator_problems(&self.message_attributes));
        problems
    }

    fn identity_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(id) = &self.client_id
            && !(1..=256).contains(&id.len())
        {
            problems.push(Problem::new(
                "client_id",
                format!("has {} characters, where 1 to 256 are possible", id.len()),
                "write a short name, or leave it out to have a random one",
            ));
        } else if let Some(id) = &self.client_id
            && !id.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
        {
            problems.push(Problem::new(
                "client_id",
                format!("is {id:?}, which is not all visible ASCII"),
                "write it in visible ASCII characters without spaces",
            ));
        }
        if let Some(region) = &self.region
            && (region.is_empty()
                || !region
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'))
        {
            problems.push(Problem::new(
                "region",
                format!("is {region:?}, which is no AWS region"),
                "write one such as region = \"eu-central-1\", or leave it out",
            ));
        }
        let prefix = &self.response_queue_prefix;
        if !(1..=LONGEST_PREFIX).contains(&prefix.len()) || !queue_url::is_name_part(prefix) {
            problems.push(Problem::new(
                "response_queue_prefix",
                format!("is {prefix:?}, which the name of a queue cannot begin with"),
                format!("write 1 to {LONGEST_PREFIX} letters, digits, dashes and underscores"),
            ));
        }
        problems
    }

    fn receive_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, value, least, most) in [
            ("wait_time", self.wait_time, Duration::ZERO, LONGEST_WAIT),
            ("visibility_timeout", self.visibility_timeout, Duration::from_secs(1), LONGEST_VISIBILITY),
        ] {
            if value < least || value > most || value.subsec_nanos() != 0 {
                problems.push(Problem::new(
                    key,
                    format!("is {}, which SQS does not take", duration::format(value)),
                    format!(
                        "write whole seconds from {} to {}",
                        duration::format(least),
                        duration::format(most)
                    ),
                ));
            }
        }
        if !(1..=LARGEST_BATCH).contains(&self.max_messages) {
            problems.push(Problem::new(
                "max_messages",
                format!("is {}, which SQS does not take", self.max_messages),
                format!("write a number from 1 to {LARGEST_BATCH}"),
            ));
        }
        problems
    }
}

#[cfg(test)]
mod tests;
