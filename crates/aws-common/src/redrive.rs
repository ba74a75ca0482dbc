//! The redrive policy of a queue: where SQS itself puts a message that was received too often.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use crate::queue::QueueAttributes;

/// A queue's redrive policy (SQS API, `SetQueueAttributes`, `RedrivePolicy`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedrivePolicy {
    /// The ARN of its dead-letter queue.
    pub(crate) target_arn: String,
    /// How often a message is received before it is moved.
    pub(crate) max_receive_count: u32,
}

impl RedrivePolicy {
    /// That of the queue with these attributes, if it has one.
    pub(crate) fn of(attributes: &QueueAttributes) -> Option<Self> {
        let policy = attributes.get(&QueueAttributeName::RedrivePolicy)?;
        let policy: Value = serde_json::from_str(policy).ok()?;
        let count = &policy["maxReceiveCount"];
        // a number, which SQS takes and gives as text too
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
        Some(Self {
            target_arn: policy["deadLetterTargetArn"].as_str()?.to_owned(),
            max_receive_count: u32::try_from(count).unwrap_or(u32::MAX),
        })
    }

    /// The URL of its dead-letter queue, where this is the policy of the queue at `url`.
    pub(crate) fn target_url(&self, url: &str) -> Option<String> {
        // of the same account and region (SQS developer guide, "Using dead-letter queues")
        let name = self.target_arn.rsplit(':').next()?;
        let (parent, _) = url.rsplit_once('/')?;
        Some(format!("{parent}/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_redrive_policy_names_a_queue_beside_its_own() {
        for count in ["5", "\"5\""] {
            let policy = format!(
                r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:dead","maxReceiveCount":{count}}}"#
            );
            let attributes = HashMap::from([(QueueAttributeName::RedrivePolicy, policy)]);
            let policy = RedrivePolicy::of(&attributes).unwrap();
            assert_eq!(policy.max_receive_count, 5);
            let url = policy.target_url("https://sqs.eu-west-1.amazonaws.com/1/requests");
            assert_eq!(url.as_deref(), Some("https://sqs.eu-west-1.amazonaws.com/1/dead"));
        }
        assert_eq!(RedrivePolicy::of(&HashMap::new()), None);
    }
}
