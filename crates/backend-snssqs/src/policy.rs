//! The least that proxy and server must be allowed.

use aws_common::operator::{Statement, large_payload_statements, policy, queue_arn};
use proxy_core::operator::Policy;

use crate::{SnsSqsConfig, arn::Arn, intake::OWN_QUEUE_PREFIX};

/// The least-privilege policies for the proxy and for the server.
///
/// Created queues are taken to be in the response topic's account, and the server's queue in that of the request topic. Queues and topics
/// that are encrypted with a KMS key of the operator's own also need `kms:GenerateDataKey` and `kms:Decrypt` on that key, for SNS too.
pub fn policies(config: &SnsSqsConfig) -> Vec<Policy> {
    let requests = vec![config.sns_topic_arn.clone()];
    let answers = vec![config.response_topic_arn.clone()];
    let server = [
        Statement::allow(
            "Requests",
            ["sqs:DeleteMessage", "sqs:ReceiveMessage"],
            [config.server_queue_arn()],
        ),
        Statement::allow("Answers", ["sns:Publish"], answers.clone()),
    ];
    let mut proxy = vec![
        Statement::allow("Requests", ["sns:GetTopicAttributes", "sns:Publish"], requests),
        Statement::allow(
            "Answers",
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            [reply_queues_arn(config)],
        ),
    ];
    let workers = worker_queue_arns(config);
    if !workers.is_empty() {
        proxy.push(Statement::allow("Workers", ["sqs:SendMessage"], workers));
    }
    if config.sqs_queue_url.is_none() {
        let own = [
            "sqs:CreateQueue",
            "sqs:DeleteQueue",
            "sqs:ListQueueTags",
            "sqs:SetQueueAttributes",
            "sqs:TagQueue",
        ];
        proxy.push(Statement::allow("OwnQueues", own, [reply_queues_arn(config)]));
        let subscribes = ["sns:ListSubscriptionsByTopic", "sns:Publish", "sns:Subscribe"];
        proxy.push(Statement::allow("OwnSubscription", subscribes, answers));
        // neither takes a resource (AWS, service authorization reference)
        let unbound = ["sns:Unsubscribe", "sqs:ListQueues"];
        proxy.push(Statement::allow("LeftBehind", unbound, ["*".to_owned()]));
    }
    proxy.extend(large_payload_statements(config.large_payloads.as_ref(), &config.sns_topic_arn));
    vec![policy("the proxy", &proxy), policy("the server", &server)]
}

/// The queues that workers may name: those that the settings allow, or those that a worker beside the reply queue creates.
fn worker_queue_arns(config: &SnsSqsConfig) -> Vec<String> {
    let Some(patterns) = &config.owner_allow else {
        let beside = reply_queues_arn(config);
        let queue = Arn::parse(&beside).map(|queue| queue.queue_beside(&format!("{OWN_QUEUE_PREFIX}-*")));
        return queue.into_iter().collect();
    };
    // a pattern of topics is no worker's queue
    let urls = patterns.iter().filter(|pattern| !pattern.starts_with("arn:"));
    urls.map(|url| queue_arn(url, config.region.as_deref())).collect()
}

/// The queue that answers are read from, or all that the proxy may create.
fn reply_queues_arn(config: &SnsSqsConfig) -> String {
    config.reply_queue_arn().unwrap_or_else(|| {
        let topic = Arn::parse(&config.response_topic_arn);
        topic.map_or_else(String::new, |topic| {
            let region = config.region.as_deref().unwrap_or(topic.region);
            Arn { region, ..topic }.queue_beside(&format!("{}-*", config.response_queue_prefix))
        })
    })
}
