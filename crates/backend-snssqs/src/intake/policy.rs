//! The least that a worker must be allowed.

use aws_common::operator::{Statement, dead_letters_url, large_payload_statements, policy, queue_arn};
use proxy_core::operator::Policy;

use super::SnsSqsIntakeConfig;
use crate::arn::Arn;

/// The least-privilege policy of the worker.
///
/// Its own queue, and those of other workers, are taken to be in the request queue's account, and so are the topics that clients name:
/// where `reply_allow` lets it write elsewhere, those are to be added. A worker that is `sole` needs no queue of its own, and so neither
/// `OwnQueues` nor `LeftBehind`. Queues and topics that are encrypted with a KMS key of the operator's own also need
/// `kms:GenerateDataKey` and `kms:Decrypt` on that key.
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
    let keeps = [
        "sqs:ChangeMessageVisibility",
        "sqs:CreateQueue",
        "sqs:DeleteMessage",
        "sqs:DeleteQueue",
        "sqs:ListQueueTags",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
        "sqs:TagQueue",
    ];
    // where none is named: the one that provisioning creates
    let letters = config.dead_letter_queue_url.clone().unwrap_or_else(|| dead_letters_url(&config.queue_url));
    let letters = queue_arn(&letters, Arn::parse(&requests).map(|queue| queue.region));
    let answers = ["sns:GetTopicAttributes", "sns:Publish"];
    let mut worker = vec![
        Statement::allow("Requests", reads, [requests.clone()]),
        Statement::allow("DeadLetters", ["sqs:SendMessage"], [letters]),
        Statement::allow("Answers", answers, [topics_arn(&requests)]),
        // its own, and those of other workers
        Statement::allow("OwnQueues", keeps, owned),
        Statement::allow("LeftBehind", ["sqs:ListQueues"], ["*".to_owned()]),
    ];
    worker.extend(large_payload_statements(config.large_payloads.as_ref(), &requests));
    vec![policy("the worker", &worker)]
}

/// The pattern of the topics beside a queue.
fn topics_arn(queue_arn: &str) -> String {
    Arn::parse(queue_arn).map_or_else(String::new, |queue| {
        let Arn { partition, region, account, .. } = queue;
        format!("arn:{partition}:sns:{region}:{account}:*")
    })
}
