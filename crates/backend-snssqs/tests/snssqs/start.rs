//! What is found out at start, and that a start that fails leaves nothing behind.

use std::sync::Arc;

use backend_snssqs::SnsSqsConfig;
use prometheus_client::registry::Registry;
use proxy_core::{
    backend::{Backend, Inbound, Inbox, Settlement},
    error::{BackendError, ErrorKind},
    id::InstanceId,
};
use testkit::emulator::{Failure, ServiceError};

use crate::harness::{PROXY, Topics, connect};

#[derive(Debug)]
struct NoInbox;

impl Inbox for NoInbox {
    fn deliver(&self, _: Inbound) -> Settlement {
        Settlement::Now(proxy_core::backend::Disposition::Accepted)
    }
}

async fn refused(topics: &Topics, config: SnsSqsConfig) -> BackendError {
    let instance = InstanceId::random();
    let connected = connect(topics, config, &instance, Arc::new(NoInbox), &mut Registry::default()).await;
    connected.expect_err("a refusal")
}

async fn assert_nothing_left(topics: &Topics) {
    let queues = topics.emulator.client().list_queues().queue_name_prefix("mcp-proxy").send().await.unwrap();
    assert_eq!(queues.queue_urls(), &[] as &[String]);
    assert_eq!(topics.subscriptions().await, []);
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let topics = Topics::start().await;
    let mut config = topics.config();
    config.sns_topic_arn.push('x');
    let error = refused(&topics, config.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(&config.sns_topic_arn), "{error}");

    let mut config = topics.config();
    config.response_topic_arn.push('x');
    let error = refused(&topics, config.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(&config.response_topic_arn), "{error}");

    let mut config = topics.config();
    config.sqs_queue_url = Some(topics.emulator.queue_url("nowhere"));
    let error = refused(&topics, config).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert_nothing_left(&topics).await;
}

#[tokio::test]
async fn a_start_that_fails_names_the_permission_and_leaves_nothing_behind() {
    for (permission, named) in [
        ("sns:GetTopicAttributes", "sns:GetTopicAttributes"),
        ("sns:Publish", "sns:Publish"),
        ("sqs:CreateQueue", "sqs:CreateQueue"),
        ("sqs:ReceiveMessage", "sqs:ReceiveMessage"),
        ("sqs:GetQueueAttributes", "sqs:GetQueueAttributes"),
        ("sqs:SetQueueAttributes", "sqs:SetQueueAttributes"),
        ("sns:Subscribe", "sns:Subscribe"),
    ] {
        let topics = Topics::start().await;
        topics.emulator.deny_to(PROXY, permission);
        let error = refused(&topics, topics.config()).await;
        assert_eq!(error.kind(), ErrorKind::Denied, "{permission}: {error}");
        assert!(error.to_string().contains(named), "{permission}: {error}");
        assert_nothing_left(&topics).await;
    }
}

#[tokio::test]
async fn a_subscription_of_which_nothing_is_known_is_removed_too() {
    let topics = Topics::start().await;
    topics.emulator.fail_next_of(PROXY, "Subscribe", Failure::AfterEffect, 1);
    let error = refused(&topics, topics.config()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_nothing_left(&topics).await;
}

#[tokio::test]
async fn a_topic_that_is_full_of_filters_says_so() {
    let topics = Topics::start().await;
    // AWS, `Subscribe`: FilterPolicyLimitExceeded, 403
    let full = ServiceError::new("FilterPolicyLimitExceeded", 403, "Filter policy limit exceeded");
    topics.emulator.fail_next_of(PROXY, "Subscribe", Failure::Error(full), 1);
    let error = refused(&topics, topics.config()).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("200"), "{error}");
    assert_nothing_left(&topics).await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_any_call() {
    let topics = Topics::start().await;
    let mut config = topics.config();
    config.response_topic_arn.clone_from(&config.sns_topic_arn);
    assert_eq!(refused(&topics, config).await.kind(), ErrorKind::Config);
    assert_eq!(topics.emulator.calls().by(PROXY), 0);
}

#[tokio::test]
async fn the_limit_is_256_kib() {
    // SNS quotas: a message has at most 256 KiB
    let topics = Topics::start().await;
    let instance = InstanceId::random();
    let config = topics.config_with_queue();
    let backend = connect(&topics, config, &instance, Arc::new(NoInbox), &mut Registry::default()).await;
    assert_eq!(backend.unwrap().limits().message_bytes, 262_144);
}
