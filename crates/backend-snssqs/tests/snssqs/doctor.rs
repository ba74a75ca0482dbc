//! What the doctor finds, and what it leaves behind: nothing.

use std::collections::BTreeMap;

use aws_common::client::SdkConfig;
use aws_sdk_sqs::{
    config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider},
    types::QueueAttributeName,
};
use backend_snssqs::{SnsSqsConfig, doctor, provision};
use proxy_core::operator::{Check, Mode, Verdict};
use testkit::emulator::{Emulator, client_for, sns_client_for};

use crate::harness::{PROXY, RESPONSES, Topics};

pub(crate) fn sdk(emulator: &Emulator) -> SdkConfig {
    let credentials = Credentials::new(PROXY, "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(emulator.endpoint_url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// What is said of each subject.
async fn seen(emulator: &Emulator, config: &SnsSqsConfig) -> BTreeMap<String, Verdict> {
    let mut seen = BTreeMap::new();
    let mut report = |check: Check| assert!(seen.insert(check.subject.into(), check.verdict).is_none());
    doctor(config, Some(sdk(emulator)), &mut report).await;
    seen
}

/// Topics and queues as provisioning makes them.
async fn provisioned(reply_queue: bool) -> (Emulator, SnsSqsConfig) {
    let emulator = Emulator::start().await.unwrap();
    let arn = "arn:aws:sns:us-east-1:000000000000:";
    let mut config = SnsSqsConfig::new(format!("{arn}requests"), format!("{arn}{RESPONSES}"));
    config.endpoint_url = Some(emulator.endpoint_url());
    config.sqs_queue_url = reply_queue.then(|| emulator.queue_url(RESPONSES));
    let endpoint = emulator.endpoint_url();
    let clients = (sns_client_for(&endpoint, "operator"), client_for(&endpoint, "operator"));
    provision(&config, Mode::Apply, Some(clients), &mut |_| ()).await.unwrap();
    (emulator, config)
}

const ALWAYS: [&str; 10] = [
    "clock",
    "credentials",
    "dead-letter queue of the server's queue",
    "permission sns:Publish on the request topic requests",
    "policy of the server's queue requests",
    "region",
    "subscription of the server's queue",
    "the request topic requests",
    "the response topic responses",
    "the server's queue requests",
];

fn assert_all_good(seen: &BTreeMap<String, Verdict>, more: &[&str]) {
    let mut expected: Vec<&str> = ALWAYS.iter().chain(more).copied().collect();
    expected.sort_unstable();
    let subjects: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(subjects, expected);
    for (subject, verdict) in seen {
        assert!(matches!(verdict, Verdict::Good(_)), "{subject}: {verdict:?}");
    }
}

#[tokio::test]
async fn all_is_well_with_a_given_queue_and_nothing_is_left_in_it() {
    let (emulator, config) = provisioned(true).await;
    let seen = seen(&emulator, &config).await;
    assert_all_good(
        &seen,
        &[
            "permission sqs:ChangeMessageVisibility on the reply queue responses",
            "permission sqs:DeleteMessage on the reply queue responses",
            "permission sqs:ReceiveMessage on the reply queue responses",
            "permission sqs:SendMessage on the reply queue responses",
            "policy of the reply queue responses",
            "readers of the reply queue responses",
            "redrive policy of the reply queue",
            "subscription of the reply queue",
            "the reply queue responses",
            "way of an answer",
        ],
    );
    let left = emulator.depth(RESPONSES).unwrap();
    assert_eq!(left.visible + left.in_flight + left.delayed, 0);
}

#[tokio::test]
async fn all_is_well_with_a_queue_to_be_created_and_none_is_left() {
    let (emulator, config) = provisioned(false).await;
    let seen = seen(&emulator, &config).await;
    assert_all_good(
        &seen,
        &[
            "creation of reply queue and subscription",
            "reply queues that dead proxies left behind",
            "subscriptions with a filter",
            "way of an answer",
        ],
    );
    let left = emulator.client().list_queues().queue_name_prefix("mcp-proxy").send().await.unwrap();
    assert_eq!(left.queue_urls(), &[] as &[String]);
    let requests = config.sns_topic_arn.clone();
    let topics = Topics { emulator, requests, responses: config.response_topic_arn.clone() };
    assert_eq!(topics.subscriptions().await, []);
}

#[tokio::test]
async fn what_keeps_answers_away_is_found_with_its_remedy() {
    let failed = |seen: &BTreeMap<String, Verdict>, subject: &str| {
        assert!(matches!(seen[subject], Verdict::Failed { .. }), "{subject}: {:?}", seen[subject]);
    };
    // no topic: nothing else can be told
    let bare = Emulator::start().await.unwrap();
    let (_, mut config) = provisioned(false).await;
    config.endpoint_url = Some(bare.endpoint_url());
    let found = seen(&bare, &config).await;
    failed(&found, "the request topic requests");
    failed(&found, "the response topic responses");
    // a queue that is neither subscribed nor lets the topic send
    let (emulator, mut config) = provisioned(false).await;
    emulator.create_queue("bare", &[]).unwrap();
    config.sqs_queue_url = Some(emulator.queue_url("bare"));
    emulator.deny_to(PROXY, "sns:Publish");
    let found = seen(&emulator, &config).await;
    failed(&found, "policy of the reply queue bare");
    failed(&found, "subscription of the reply queue");
    let Verdict::Failed { remedy, .. } = &found["permission sns:Publish on the request topic requests"]
    else {
        panic!("{found:?}")
    };
    assert_eq!(&**remedy, "grant sns:Publish on it");
    assert!(matches!(found["way of an answer"], Verdict::Skipped(_)));
}

#[tokio::test]
async fn nothing_is_looked_at_that_a_look_would_take_away() {
    let (emulator, config) = provisioned(true).await;
    emulator.create_queue("letters", &[]).unwrap();
    let redrive =
        r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:letters","maxReceiveCount":1}"#;
    let far = emulator.client();
    let set = far.set_queue_attributes().queue_url(config.sqs_queue_url.clone().unwrap());
    set.attributes(QueueAttributeName::RedrivePolicy, redrive).send().await.unwrap();
    let found = seen(&emulator, &config).await;
    assert!(matches!(found["redrive policy of the reply queue"], Verdict::Warning { .. }));
    for subject in ["readers of the reply queue responses", "way of an answer"] {
        assert!(matches!(found[subject], Verdict::Skipped(_)), "{subject}: {:?}", found[subject]);
    }
    assert_eq!(emulator.calls().of(PROXY, "SendMessageBatch"), 1, "the probe of the permission");
}

#[tokio::test]
async fn a_filter_and_another_delivery_are_warnings() {
    let (emulator, mut config) = provisioned(true).await;
    config.raw_message_delivery = false;
    let found = seen(&emulator, &config).await;
    let Verdict::Warning { what, .. } = &found["subscription of the reply queue"] else {
        panic!("{found:?}")
    };
    assert!(what.contains("delivery is raw"), "{what}");
    emulator.create_queue("filtered", &[]).unwrap();
    let url = emulator.queue_url("filtered");
    emulator.let_send(&[&config.response_topic_arn], &url).unwrap();
    let filter = r#"{"team":["search"]}"#;
    emulator.subscribe(&config.response_topic_arn, &url, true, Some(filter)).unwrap();
    config.sqs_queue_url = Some(url);
    emulator.deny_to(PROXY, "sns:Publish");
    let found = seen(&emulator, &config).await;
    let Verdict::Warning { what, .. } = &found["subscription of the reply queue"] else {
        panic!("{found:?}")
    };
    assert!(what.contains("team"), "{what}");
}
