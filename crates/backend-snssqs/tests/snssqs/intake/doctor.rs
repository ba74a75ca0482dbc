//! What the doctor finds of the worker's end, and what it leaves behind: nothing.

use std::collections::BTreeMap;

use backend_snssqs::{SnsSqsIntakeConfig, intake_doctor, intake_provision};
use proxy_core::operator::{Check, Mode, Verdict};
use testkit::emulator::{Emulator, client_for, sns_client_for};

use crate::{doctor::sdk, harness::PROXY};

/// A queue and its topic as provisioning makes them.
async fn provisioned() -> (Emulator, SnsSqsIntakeConfig) {
    let emulator = Emulator::start().await.unwrap();
    let mut config = SnsSqsIntakeConfig::new(emulator.queue_url("calls"));
    config.request_topic_arn = Some("arn:aws:sns:us-east-1:000000000000:calls".to_owned());
    config.dead_letter_queue_url = Some(emulator.queue_url("calls-dead-letters"));
    config.region = Some("us-east-1".to_owned());
    let endpoint = emulator.endpoint_url();
    let clients = (sns_client_for(&endpoint, "operator"), client_for(&endpoint, "operator"));
    intake_provision(&config, 3, Mode::Apply, Some(clients), &mut |_| ()).await.unwrap();
    (emulator, config)
}

/// What is said of each subject.
async fn seen(emulator: &Emulator, config: &SnsSqsIntakeConfig) -> BTreeMap<String, Verdict> {
    let mut seen = BTreeMap::new();
    let mut report = |check: Check| assert!(seen.insert(check.subject.into(), check.verdict).is_none());
    intake_doctor(config, 3, false, Some(sdk(emulator)), &mut report).await;
    seen
}

fn said(verdict: &Verdict) -> String {
    format!("{verdict:?}")
}

#[tokio::test]
async fn all_is_well_and_the_queue_on_trial_is_gone() {
    let (emulator, config) = provisioned().await;
    let seen = seen(&emulator, &config).await;
    let subjects: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(
        subjects,
        [
            "clock",
            "creation of the worker's own queue",
            "credentials",
            "dead-letter queue of the request queue",
            "permission sns:Publish",
            "permission sqs:ChangeMessageVisibility on the request queue calls",
            "permission sqs:DeleteMessage on the request queue calls",
            "permission sqs:ReceiveMessage on the request queue calls",
            "permission sqs:SendMessage on the dead-letter queue calls-dead-letters",
            "permission sqs:SendMessage on the request queue calls",
            "policy of the request queue calls",
            "queues that dead workers left behind",
            "region",
            "subscription of the request queue",
            "the request queue calls",
            "visibility timeout",
        ]
    );
    for (subject, verdict) in &seen {
        let good = match subject.as_str() {
            // the clients name the topics
            "permission sns:Publish" => matches!(verdict, Verdict::Skipped(_)),
            _ => matches!(verdict, Verdict::Good(_)),
        };
        assert!(good, "{subject}: {verdict:?}");
    }
    let queues = emulator.client().list_queues().send().await.unwrap().queue_urls.unwrap_or_default();
    assert_eq!(queues.len(), 2, "{queues:?}");
}

#[tokio::test]
async fn what_is_missing_says_what_to_do() {
    let (emulator, mut config) = provisioned().await;
    emulator.deny_to(PROXY, "sqs:CreateQueue");
    emulator.deny_to(PROXY, "sqs:ReceiveMessage");
    let client = emulator.client();
    let request = client.set_queue_attributes().queue_url(&config.queue_url);
    let request = request.attributes(aws_sdk_sqs::types::QueueAttributeName::Policy, "");
    request.send().await.unwrap();
    config.raw_message_delivery = false;
    let seen = seen(&emulator, &config).await;
    for (subject, expected) in [
        ("creation of the worker's own queue", "grant sqs:CreateQueue"),
        ("permission sqs:ReceiveMessage on the request queue calls", "grant sqs:ReceiveMessage"),
        ("policy of the request queue calls", "`provision` does"),
        ("subscription of the request queue", "raw_message_delivery = false"),
    ] {
        assert!(!matches!(seen[subject], Verdict::Good(_)), "{subject}");
        assert!(said(&seen[subject]).contains(expected), "{subject}: {:?}", seen[subject]);
    }
}

#[tokio::test]
async fn a_queue_that_is_not_there_ends_the_report_and_one_without_subscription_fails_it() {
    let emulator = Emulator::start().await.unwrap();
    let mut config = SnsSqsIntakeConfig::new(emulator.queue_url("calls"));
    config.request_topic_arn = Some(emulator.create_topic("calls", &[]).unwrap());
    let missing = seen(&emulator, &config).await;
    assert!(said(&missing["the request queue calls"]).contains("does not exist"), "{missing:?}");
    assert!(!missing.contains_key("subscription of the request queue"));
    emulator.create_queue("calls", &[]).unwrap();
    let found = seen(&emulator, &config).await;
    let subscription = &found["subscription of the request queue"];
    assert!(
        matches!(subscription, Verdict::Failed { .. }) && said(subscription).contains("no request comes")
    );
    assert!(matches!(found["dead-letter queue of the request queue"], Verdict::Warning { .. }));
}
