//! The least that proxy and server must be allowed.

use aws_common::operator::{Statement, large_payload_statements, policy, queue_arn};
use proxy_core::operator::Policy;

use crate::{ResponseQueue, SqsConfig, SqsIntakeConfig};

/// The least-privilege policies for the proxy and for the server.
///
/// Queues that are encrypted with a KMS key of the operator's own also need `kms:GenerateDataKey` and `kms:Decrypt` on that key.
pub fn policies(config: &SqsConfig) -> Vec<Policy> {
    let requests = vec![arn(config, &config.read_queue_url)];
    let answers = vec![answers_arn(config)];
    let server = [
        Statement::allow("Requests", ["sqs:DeleteMessage", "sqs:ReceiveMessage"], requests.clone()),
        Statement::allow("Answers", ["sqs:SendMessage"], answers.clone()),
    ];
    let sends = Statement::allow("Requests", ["sqs:GetQueueAttributes", "sqs:SendMessage"], requests);
    let mut actions =
        vec!["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage"];
    if config.response_queue == ResponseQueue::Shared {
        actions.push("sqs:GetQueueAttributes");
    }
    let mut proxy = vec![sends, Statement::allow("Answers", actions, answers.clone())];
    let workers = workers_arns(config);
    if !workers.is_empty() {
        proxy.push(Statement::allow("Workers", ["sqs:SendMessage"], workers));
    }
    if config.response_queue_url.is_none() {
        let actions = ["sqs:CreateQueue", "sqs:DeleteQueue", "sqs:ListQueueTags", "sqs:TagQueue"];
        proxy.push(Statement::allow("OwnQueues", actions, answers));
        proxy.push(Statement::allow("LeftBehind", ["sqs:ListQueues"], vec!["*".to_owned()]));
    }
    let arn = arn(config, &config.read_queue_url);
    proxy.extend(large_payload_statements(config.large_payloads.as_ref(), &arn));
    vec![policy("the proxy", &proxy), policy("the server", &server)]
}

/// The queue that answers are read from, or all that the proxy may create: those are taken to be in the request queue's account.
fn answers_arn(config: &SqsConfig) -> String {
    if let Some(url) = &config.response_queue_url {
        return arn(config, url);
    }
    let parent = config.read_queue_url.rsplit_once('/').map_or("", |(parent, _)| parent);
    arn(config, &format!("{parent}/{}-*", config.response_queue_prefix))
}

/// The queues that workers create for their sessions' requests, as far as `owner_allow` lets the proxy send to them.
fn workers_arns(config: &SqsConfig) -> Vec<String> {
    let Some(patterns) = &config.owner_allow else {
        let parent = config.read_queue_url.rsplit_once('/').map_or("", |(parent, _)| parent);
        let prefix = SqsIntakeConfig::default().own_queue_prefix;
        return vec![arn(config, &format!("{parent}/{prefix}-*"))];
    };
    // a pattern of topics is no worker's queue
    patterns.iter().filter(|pattern| !pattern.starts_with("arn:")).map(|url| arn(config, url)).collect()
}

fn arn(config: &SqsConfig, url: &str) -> String {
    queue_arn(url, config.region.as_deref())
}
