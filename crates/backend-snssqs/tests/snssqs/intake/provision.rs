//! What provisioning of the worker's end creates, keeps and removes.

use aws_sdk_sqs::types::QueueAttributeName;
use backend_snssqs::{SnsSqsConfig, SnsSqsIntakeConfig, intake_provision, provision};
use proxy_core::{
    error::ErrorKind,
    operator::{Change, Mode, Step},
};
use serde_json::Value;
use testkit::emulator::{Emulator, client_for, sns_client_for};

use crate::harness::PROXY;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:calls";

/// As often as a worker tries by default, so that what a proxy provisions does as well.
const MAX_RECEIVES: u32 = 3;

fn config(emulator: &Emulator, topic: Option<&str>) -> SnsSqsIntakeConfig {
    let mut config = SnsSqsIntakeConfig::new(emulator.queue_url("calls"));
    config.endpoint_url = Some(emulator.endpoint_url());
    config.region = Some("us-east-1".to_owned());
    config.request_topic_arn = topic.map(Into::into);
    config
}

fn clients(emulator: &Emulator) -> (aws_sdk_sns::Client, aws_sdk_sqs::Client) {
    let endpoint = emulator.endpoint_url();
    (sns_client_for(&endpoint, PROXY), client_for(&endpoint, PROXY))
}

async fn steps(emulator: &Emulator, config: &SnsSqsIntakeConfig, mode: Mode) -> Vec<(Change, String)> {
    let mut steps = Vec::new();
    let mut report = |step: Step| steps.push((step.change, format!("{} {}", step.kind, step.name)));
    intake_provision(config, MAX_RECEIVES, mode, Some(clients(emulator)), &mut report).await.unwrap();
    steps
}

fn all(change: Change, names: &[&str]) -> Vec<(Change, String)> {
    names.iter().map(|name| (change, (*name).to_owned())).collect()
}

const ALL: [&str; 5] = [
    "topic calls",
    "queue calls-dead-letters",
    "queue calls",
    "queue policy calls",
    "subscription calls to calls",
];

#[tokio::test]
async fn twice_is_as_once_and_all_of_it_can_be_removed() {
    let emulator = Emulator::start().await.unwrap();
    let config = config(&emulator, Some(TOPIC));
    assert_eq!(steps(&emulator, &config, Mode::DryRun).await, all(Change::Created, &ALL));
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, all(Change::Created, &ALL));
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, all(Change::Kept, &ALL));
    let removed = ["subscription calls to calls", "queue calls", "queue calls-dead-letters", "topic calls"];
    assert_eq!(steps(&emulator, &config, Mode::Destroy).await, all(Change::Deleted, &removed));
    assert_eq!(steps(&emulator, &config, Mode::Destroy).await, all(Change::Absent, &removed));
}

#[tokio::test]
async fn what_the_proxys_end_provisioned_is_kept() {
    let emulator = Emulator::start().await.unwrap();
    let mut proxy = SnsSqsConfig::new(TOPIC, TOPIC.replace("calls", "answers"));
    proxy.endpoint_url = Some(emulator.endpoint_url());
    provision(&proxy, Mode::Apply, Some(clients(&emulator)), &mut |_| ()).await.unwrap();
    let config = config(&emulator, Some(TOPIC));
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, all(Change::Kept, &ALL));
}

#[tokio::test]
async fn without_a_topic_only_the_queues_are_made() {
    let emulator = Emulator::start().await.unwrap();
    let config = config(&emulator, None);
    let queues = ["queue calls-dead-letters", "queue calls"];
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, all(Change::Created, &queues));
    let url = emulator.queue_url("calls");
    let client = emulator.client();
    let found = client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
    let found = found.send().await.unwrap().attributes.unwrap();
    let redrive: Value = serde_json::from_str(&found[&QueueAttributeName::RedrivePolicy]).unwrap();
    assert_eq!(redrive["deadLetterTargetArn"], "arn:aws:sqs:us-east-1:000000000000:calls-dead-letters");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_anything_is_made() {
    let error =
        intake_provision(&SnsSqsIntakeConfig::default(), MAX_RECEIVES, Mode::Apply, None, &mut |_| ())
            .await
            .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("queue_url"), "{error}");
}
