//! What provisioning creates, keeps and removes.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName::{
    self, All, MaximumMessageSize, MessageRetentionPeriod, RedrivePolicy, VisibilityTimeout,
};
use backend_sqs::{SqsConfig, provision};
use proxy_core::{
    error::ErrorKind,
    operator::{Change, Mode, Policy, Step},
};
use testkit::emulator::Emulator;

use crate::harness::{PROXY, REPLIES, REQUESTS};

fn config(emulator: &Emulator) -> SqsConfig {
    let mut config = SqsConfig::new(emulator.queue_url(REQUESTS));
    config.response_queue_url = Some(emulator.queue_url(REPLIES));
    config
}

async fn run(emulator: &Emulator, config: &SqsConfig, mode: Mode) -> (Vec<(Change, String)>, Vec<Policy>) {
    let client = testkit::emulator::client_for(&emulator.endpoint_url(), PROXY);
    let mut steps = Vec::new();
    let mut report = |step: Step| steps.push((step.change, step.name.into()));
    let policies = provision(config, mode, Some(client), &mut report).await.unwrap();
    (steps, policies)
}

async fn steps(emulator: &Emulator, config: &SqsConfig, mode: Mode) -> Vec<(Change, String)> {
    run(emulator, config, mode).await.0
}

fn all(change: Change, names: [&str; 3]) -> Vec<(Change, String)> {
    names.map(|name| (change, name.to_owned())).into()
}

async fn attributes(emulator: &Emulator, name: &str) -> HashMap<QueueAttributeName, String> {
    let request = emulator.client().get_queue_attributes().queue_url(emulator.queue_url(name));
    request.attribute_names(All).send().await.unwrap().attributes.unwrap()
}

const ALL: [&str; 3] = ["requests-dead-letters", REQUESTS, REPLIES];

#[tokio::test]
async fn twice_is_as_once_and_all_of_it_can_be_removed() {
    let emulator = Emulator::start().await.unwrap();
    let config = config(&emulator);
    assert_eq!(steps(&emulator, &config, Mode::DryRun).await, all(Change::Created, ALL));
    for changing in ["CreateQueue", "SetQueueAttributes", "DeleteQueue", "TagQueue"] {
        assert_eq!(emulator.calls().of(PROXY, changing), 0, "a dry run only reads");
    }
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, all(Change::Created, ALL));
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, all(Change::Kept, ALL));
    assert_eq!(steps(&emulator, &config, Mode::DryRun).await, all(Change::Kept, ALL));
    assert_eq!(emulator.calls().of(PROXY, "SetQueueAttributes"), 0);
    let requests = attributes(&emulator, REQUESTS).await;
    let redrive: serde_json::Value = serde_json::from_str(&requests[&RedrivePolicy]).unwrap();
    let letters = attributes(&emulator, "requests-dead-letters").await;
    assert_eq!(redrive["deadLetterTargetArn"], letters[&QueueAttributeName::QueueArn]);
    assert!(!attributes(&emulator, REPLIES).await.contains_key(&RedrivePolicy), "answers are not taken away");

    let removed = [REQUESTS, "requests-dead-letters", REPLIES];
    assert_eq!(steps(&emulator, &config, Mode::Destroy).await, all(Change::Deleted, removed));
    assert_eq!(steps(&emulator, &config, Mode::Destroy).await, all(Change::Absent, removed));
}

#[tokio::test]
async fn a_dry_run_names_the_dead_letter_queue_that_there_will_be() {
    let emulator = Emulator::start().await.unwrap();
    let config = SqsConfig::new(emulator.queue_url(REQUESTS));
    emulator.create_queue(REQUESTS, &[]).unwrap();
    let client = testkit::emulator::client_for(&emulator.endpoint_url(), PROXY);
    let mut details = String::new();
    let mut report = |step: Step| details.extend(step.detail.map(String::from));
    provision(&config, Mode::DryRun, Some(client), &mut report).await.unwrap();
    steps(&emulator, &config, Mode::Apply).await;
    let arn = &attributes(&emulator, ALL[0]).await[&QueueAttributeName::QueueArn];
    assert!(details.contains(&format!("\"{arn}\"")), "{arn} is not in {details}");
}

#[tokio::test]
async fn what_is_different_is_changed_and_the_rest_kept() {
    let emulator = Emulator::start().await.unwrap();
    let config = config(&emulator);
    emulator.create_queue(REPLIES, &[("MaximumMessageSize", "1024"), ("DelaySeconds", "3")]).unwrap();
    steps(&emulator, &config, Mode::Apply).await;
    let set = emulator.client().set_queue_attributes().queue_url(emulator.queue_url(REQUESTS));
    set.attributes(VisibilityTimeout, "7").send().await.unwrap();
    let changed = [
        (Change::Kept, ALL[0].to_owned()),
        (Change::Updated, REQUESTS.to_owned()),
        (Change::Kept, REPLIES.to_owned()),
    ];
    assert_eq!(steps(&emulator, &config, Mode::DryRun).await, changed);
    assert_eq!(attributes(&emulator, REQUESTS).await[&VisibilityTimeout], "7");
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, changed);
    assert_eq!(attributes(&emulator, REQUESTS).await[&VisibilityTimeout], "30");
    let replies = attributes(&emulator, REPLIES).await;
    assert_eq!(replies[&MaximumMessageSize], "1048576");
    assert_eq!(replies[&QueueAttributeName::DelaySeconds], "3", "what provisioning says nothing of stays");
}

#[tokio::test]
async fn what_was_there_before_is_neither_removed_nor_made_worse() {
    let emulator = Emulator::start().await.unwrap();
    let config = config(&emulator);
    emulator.create_queue("theirs", &[]).unwrap();
    let redrive =
        r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:theirs","maxReceiveCount":3}"#;
    let before =
        [("MessageRetentionPeriod", "345600"), ("VisibilityTimeout", "600"), ("RedrivePolicy", redrive)];
    emulator.create_queue(REQUESTS, &before).unwrap();
    emulator.create_queue(REPLIES, &[("MessageRetentionPeriod", "60")]).unwrap();
    steps(&emulator, &config, Mode::Apply).await;
    let requests = attributes(&emulator, REQUESTS).await;
    for (name, value) in before {
        assert_eq!(requests[&name.into()], value, "{name}");
    }
    assert_eq!(attributes(&emulator, REPLIES).await[&MessageRetentionPeriod], "7200");
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, all(Change::Kept, ALL));
    let destroyed = steps(&emulator, &config, Mode::Destroy).await;
    assert_eq!(
        destroyed,
        [
            (Change::ByHand, REQUESTS.to_owned()),
            (Change::Deleted, ALL[0].to_owned()),
            (Change::ByHand, REPLIES.to_owned())
        ]
    );
    assert!(emulator.depth(REQUESTS).is_some() && emulator.depth(REPLIES).is_some());
}

#[tokio::test]
async fn a_request_queue_that_stays_does_not_keep_dead_letters_that_are_gone() {
    let emulator = Emulator::start().await.unwrap();
    let config = SqsConfig::new(emulator.queue_url(REQUESTS));
    emulator.create_queue(REQUESTS, &[]).unwrap();
    steps(&emulator, &config, Mode::Apply).await;
    assert!(attributes(&emulator, REQUESTS).await.contains_key(&RedrivePolicy));
    let destroyed = steps(&emulator, &config, Mode::Destroy).await;
    let expected = [(Change::Updated, REQUESTS), (Change::ByHand, REQUESTS), (Change::Deleted, ALL[0])];
    assert_eq!(destroyed, expected.map(|(change, name)| (change, name.to_owned())));
    let left = attributes(&emulator, REQUESTS).await;
    assert!(left.get(&RedrivePolicy).is_none_or(String::is_empty), "{left:?}");
}

#[tokio::test]
async fn a_fifo_request_queue_has_fifo_dead_letters_and_a_reply_queue_is_left_to_the_proxy() {
    let emulator = Emulator::start().await.unwrap();
    let config = SqsConfig::new(emulator.queue_url("requests.fifo"));
    let expected = |change: Change, names: [&str; 2]| names.map(|name| (change, name.to_owned()));
    let names = ["requests-dead-letters.fifo", "requests.fifo"];
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, expected(Change::Created, names));
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, expected(Change::Kept, names));
    assert_eq!(attributes(&emulator, "requests.fifo").await[&QueueAttributeName::FifoQueue], "true");
    let removed = ["requests.fifo", "requests-dead-letters.fifo"];
    assert_eq!(steps(&emulator, &config, Mode::Destroy).await, expected(Change::Deleted, removed));
}

#[tokio::test]
async fn a_denial_names_the_permission_and_the_queue() {
    let emulator = Emulator::start().await.unwrap();
    emulator.deny_to(PROXY, "CreateQueue");
    let client = testkit::emulator::client_for(&emulator.endpoint_url(), PROXY);
    let error = provision(&config(&emulator), Mode::Apply, Some(client), &mut |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let text = error.to_string();
    assert!(text.contains("sqs:CreateQueue") && text.contains("requests-dead-letters"), "{text}");
    let error = provision(&SqsConfig::default(), Mode::Apply, None, &mut |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
