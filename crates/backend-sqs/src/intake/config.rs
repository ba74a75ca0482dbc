//! The settings of the SQS intake.

use std::time::Duration;

use aws_common::{
    LargePayloadsConfig,
    client::ClientSettings,
    settings::{
        LARGEST_BATCH, LONGEST_WAIT, QueueKind, dead_letter_problem, endpoint_problem, prefix_problem,
        queue_url_problem, receive_problems, region_problem,
    },
};
use proxy_core::config::{Problem, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[intake.sqs]`: the queue that requests come in by, and how it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SqsIntakeConfig {
    /// The URL of the queue that requests come in by. Required; a standard or a FIFO queue, which many workers may read.
    #[serde(alias = "read_queue_url")]
    pub queue_url: String,
    /// What the name of the queue begins with that this worker creates for the later requests of its own sessions: 1 to 57 of
    /// `A-Z a-z 0-9 - _`. Default `mcp-worker`. Queues under it that workers left behind which died are deleted by those that live.
    pub own_queue_prefix: String,
    /// The URL of the queue that requests go to which can never be done, with the reason. Left out: the dead-letter queue of the
    /// queue's redrive policy; without one, they are deleted.
    pub dead_letter_queue_url: Option<String>,
    /// Where SQS is reached, for an emulator or a private endpoint. Left out: AWS's own for the region.
    pub endpoint_url: Option<String>,
    /// The AWS region. Left out: that of the queue's URL, else as in every AWS program (`AWS_REGION`, the profile, the instance).
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

impl Default for SqsIntakeConfig {
    fn default() -> Self {
        Self {
            queue_url: String::new(),
            own_queue_prefix: "mcp-worker".to_owned(),
            dead_letter_queue_url: None,
            endpoint_url: None,
            region: None,
            wait_time: LONGEST_WAIT,
            max_messages: LARGEST_BATCH,
            visibility_timeout: Duration::from_secs(30),
            large_payloads: None,
        }
    }
}

impl SqsIntakeConfig {
    /// The settings for a worker that reads the queue with this URL, all else as it is by default.
    pub fn new(queue_url: impl Into<String>) -> Self {
        Self { queue_url: queue_url.into(), ..Self::default() }
    }

    /// Everything that is wrong with these settings, keys named within the table `[intake.sqs]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(queue_url_problem("queue_url", &self.queue_url, QueueKind::Any));
        problems.extend(prefix_problem("own_queue_prefix", &self.own_queue_prefix));
        let letters = self.dead_letter_queue_url.as_deref();
        problems.extend(letters.and_then(|url| dead_letter_problem(url, &self.queue_url)));
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/requests";

    fn keys(config: &SqsIntakeConfig) -> Vec<String> {
        config.validate().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn a_queue_is_all_that_is_needed() {
        assert_eq!(keys(&SqsIntakeConfig::new(REQUESTS)), Vec::<String>::new());
        assert_eq!(keys(&SqsIntakeConfig::new(format!("{REQUESTS}.fifo"))), Vec::<String>::new());
        assert_eq!(keys(&SqsIntakeConfig::default()), ["queue_url"]);
    }

    #[test]
    fn the_names_of_the_python_server_are_taken() {
        // asyncmcp 0.2.1, sqs/utils.py, SqsServerConfig
        let config: SqsIntakeConfig = serde_json::from_str(
            r#"{"read_queue_url": "https://sqs.example/1/requests", "max_messages": 5, "wait_time_seconds": 5, "visibility_timeout_seconds": 60}"#,
        )
        .unwrap();
        assert_eq!(
            (config.wait_time, config.visibility_timeout),
            (Duration::from_secs(5), Duration::from_mins(1))
        );
        assert_eq!(keys(&config), Vec::<String>::new());
    }

    #[test]
    fn dead_letters_go_to_another_queue_of_the_same_kind() {
        let with = |letters: &str| SqsIntakeConfig {
            dead_letter_queue_url: Some(letters.to_owned()),
            ..SqsIntakeConfig::new(REQUESTS)
        };
        assert_eq!(keys(&with(&format!("{REQUESTS}-dead-letters"))), Vec::<String>::new());
        for letters in [REQUESTS.to_owned(), format!("{REQUESTS}.fifo"), "requests".to_owned()] {
            assert_eq!(keys(&with(&letters)), ["dead_letter_queue_url"], "{letters}");
        }
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let config = SqsIntakeConfig {
            own_queue_prefix: "p".repeat(58),
            endpoint_url: Some("127.0.0.1:4566".to_owned()),
            region: Some("Frankfurt".to_owned()),
            wait_time: Duration::from_secs(21),
            visibility_timeout: Duration::from_millis(1500),
            max_messages: 0,
            ..SqsIntakeConfig::new("requests")
        };
        assert_eq!(
            keys(&config),
            [
                "queue_url",
                "own_queue_prefix",
                "endpoint_url",
                "region",
                "wait_time",
                "visibility_timeout",
                "max_messages"
            ]
        );
    }
}
