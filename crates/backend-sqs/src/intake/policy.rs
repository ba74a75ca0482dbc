//! The least that a worker must be allowed.

use aws_common::operator::{Statement, dead_letters_url, large_payload_statements, policy, queue_arn};
use proxy_core::operator::Policy;

use super::SqsIntakeConfig;

/// The least-privilege policy of the worker.
///
/// Its own queue, and those of other workers, are taken to be in the request queue's account, and so are the queues that clients name:
/// where `reply_allow` lets it write elsewhere, those are to be added. A worker that is `sole` needs no queue of its own, and so neither
/// `OwnQueues` nor `LeftBehind`. Queues that are encrypted with a KMS key of the operator's own also need `kms:GenerateDataKey` and
/// `kms:Decrypt` on that key.
pub fn intake_policies(config: &SqsIntakeConfig) -> Vec<Policy> {
    let arn = |url: &str| queue_arn(url, config.region.as_deref());
    let beside = |name: &str| {
        let parent = config.queue_url.rsplit_once('/').map_or("", |(parent, _)| parent);
        arn(&format!("{parent}/{name}"))
    };
    // where none is named: the one that provisioning creates
    let letters = config.dead_letter_queue_url.clone().unwrap_or_else(|| dead_letters_url(&config.queue_url));
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
        "sqs:TagQueue",
    ];
    let own = beside(&format!("{}-*", config.own_queue_prefix));
    let mut worker = vec![
        Statement::allow("Requests", reads, [arn(&config.queue_url)]),
        Statement::allow("DeadLetters", ["sqs:SendMessage"], [arn(&letters)]),
        // those of clients, and those of other workers
        Statement::allow("Answers", ["sqs:SendMessage"], [beside("*")]),
        Statement::allow("OwnQueues", keeps, [own]),
        Statement::allow("LeftBehind", ["sqs:ListQueues"], ["*".to_owned()]),
    ];
    worker.extend(large_payload_statements(config.large_payloads.as_ref(), &arn(&config.queue_url)));
    vec![policy("the worker", &worker)]
}
