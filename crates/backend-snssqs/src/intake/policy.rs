//! The least that a worker must be allowed.

use aws_common::operator::{Statement, policy, queue_arn};
use proxy_core::operator::Policy;

use super::SnsSqsIntakeConfig;
use crate::arn::Arn;

/// The least-privilege policy of the worker.
///
/// Its own queue, and those of other workers, are taken to be in the request queue's account, and so are the topics that clients name:
/// where `reply_allow` lets it write elsewhere, those are to be added. Queues and topics that are encrypted with a KMS key of the operator's own
/// also need `kms:GenerateDataKey` and `kms:Decrypt` on that key.
pub fn intake_policies(config: &SnsSqsIntakeConfig) -> Vec<Policy> {
    let requests = config.queue_arn();
    let beside = |name: &str| Arn::parse(&requests).map_or_else(String::new, |arn| arn.queue_beside(name));
    let owned = vec![beside(&format!("{}-*", config.own_queue_prefix))];
    let reads = [
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
    ];
    let creates = ["sqs:CreateQueue", "sqs:DeleteQueue", "sqs:ListQueueTags", "sqs:TagQueue"];
    let mut worker = vec![Statement::allow("Requests", reads, [requests.clone()])];
    if let Some(url) = &config.dead_letter_queue_url {
        let letters = queue_arn(url, config.region.as_deref());
        worker.push(Statement::allow("DeadLetters", ["sqs:SendMessage"], [letters]));
    }
    worker.push(Statement::allow(
        "Answers",
        ["sns:GetTopicAttributes", "sns:Publish"],
        [topics_arn(&requests)],
    ));
    worker.push(Statement::allow("OwnQueues", [&reads[..], &creates[..]].concat(), owned));
    worker.push(Statement::allow("LeftBehind", ["sqs:ListQueues"], ["*".to_owned()]));
    vec![policy("the worker", &worker)]
}

/// The pattern of the topics beside a queue.
pub(crate) fn topics_arn(queue_arn: &str) -> String {
    Arn::parse(queue_arn).map_or_else(String::new, |queue| {
        let Arn { partition, region, account, .. } = queue;
        format!("arn:{partition}:sns:{region}:{account}:*")
    })
}
