//! What operators are told of a worker's queues, and what is made for it.

use std::collections::{BTreeMap, BTreeSet};

use aws_common::client::SdkConfig;
use aws_sdk_sqs::{
    config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider},
    types::QueueAttributeName,
};
use backend_sqs::{SqsIntakeConfig, intake_doctor, intake_provision};
use proxy_core::operator::{Change, Check, Mode, Step, Verdict};
use testkit::emulator::{Emulator, client_for};

use crate::{
    harness::{PREFIX, REQUESTS, WORKER, emulator},
    policy::{config, documented, used},
};

const MAX_RECEIVES: u32 = 3;
const LETTERS_SUBJECT: &str = "dead-letter queue of the request queue";
const CREATION: &str = "creation of the worker's own queue";

fn sdk(emulator: &Emulator) -> SdkConfig {
    let credentials = Credentials::new(WORKER, "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(emulator.endpoint_url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

/// What is said of each subject.
async fn seen(emulator: &Emulator, max_receives: u32, sole: bool) -> BTreeMap<String, Verdict> {
    let mut seen = BTreeMap::new();
    let mut report = |check: Check| assert!(seen.insert(check.subject.into(), check.verdict).is_none());
    let config = SqsIntakeConfig::new(emulator.queue_url(REQUESTS));
    intake_doctor(&config, max_receives, sole, Some(sdk(emulator)), &mut report).await;
    seen
}

async fn own_queues(emulator: &Emulator) -> Vec<String> {
    let list = emulator.client().list_queues().queue_name_prefix(PREFIX).send().await.unwrap();
    list.queue_urls.unwrap_or_default()
}

#[tokio::test]
async fn all_is_well_and_nothing_is_left() {
    let emulator = emulator().await;
    let seen = seen(&emulator, MAX_RECEIVES, false).await;
    let bad: Vec<_> = seen.iter().filter(|(_, verdict)| !matches!(verdict, Verdict::Good(_))).collect();
    assert!(bad.is_empty(), "{bad:?}");
    assert!(seen.contains_key(CREATION));
    assert_eq!(own_queues(&emulator).await, Vec::<String>::new());
    let own = ("sts:GetCallerIdentity".to_owned(), "*".to_owned());
    let used: BTreeSet<_> = used(&emulator).into_iter().filter(|used| *used != own).collect();
    let documented = documented(&config(&emulator));
    let more: Vec<_> = used.difference(&documented).collect();
    assert!(more.is_empty(), "{more:?}");
}

#[tokio::test]
async fn the_only_worker_creates_nothing() {
    let emulator = emulator().await;
    let seen = seen(&emulator, MAX_RECEIVES, true).await;
    assert!(matches!(seen[CREATION], Verdict::Skipped(_)));
    assert_eq!(emulator.calls().of(WORKER, "CreateQueue"), 0);
}

#[tokio::test]
async fn a_redrive_policy_that_comes_first_is_a_warning() {
    let emulator = emulator().await;
    let verdict = seen(&emulator, 100, false).await.remove(LETTERS_SUBJECT).unwrap();
    let Verdict::Warning { remedy, .. } = verdict else { panic!("{verdict:?}") };
    assert!(remedy.contains("maxReceiveCount of 101"), "{remedy}");
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let emulator = Emulator::start().await.unwrap();
    let missing = seen(&emulator, MAX_RECEIVES, false).await;
    assert!(matches!(missing["the request queue requests"], Verdict::Failed { .. }), "{missing:?}");
    emulator.create_queue(REQUESTS, &[]).unwrap();
    emulator.deny_to(WORKER, "CreateQueue");
    let denied = seen(&emulator, MAX_RECEIVES, false).await;
    assert!(matches!(denied[LETTERS_SUBJECT], Verdict::Warning { .. }));
    assert!(matches!(denied[CREATION], Verdict::Failed { .. }));
}

#[tokio::test]
async fn provisioning_twice_is_as_once_and_the_worker_comes_before_the_redrive_policy() {
    let emulator = Emulator::start().await.unwrap();
    let config = SqsIntakeConfig::new(emulator.queue_url(REQUESTS));
    let run = async |mode| {
        let mut steps = Vec::new();
        let mut report = |step: Step| steps.push((step.change, String::from(step.name)));
        let client = client_for(&emulator.endpoint_url(), WORKER);
        let policies = intake_provision(&config, 10, mode, Some(client), &mut report).await.unwrap();
        assert_eq!(policies.len(), 1);
        steps
    };
    let all = |change| ["requests-dead-letters", REQUESTS].map(|name| (change, name.to_owned()));
    assert_eq!(run(Mode::DryRun).await, all(Change::Created));
    assert_eq!(run(Mode::Apply).await, all(Change::Created));
    assert_eq!(run(Mode::Apply).await, all(Change::Kept));
    let seen = seen(&emulator, 10, false).await;
    assert!(matches!(seen[LETTERS_SUBJECT], Verdict::Good(_)), "{seen:?}");
    let attributes = emulator.client().get_queue_attributes().queue_url(emulator.queue_url(REQUESTS));
    let attributes = attributes.attribute_names(QueueAttributeName::RedrivePolicy).send().await.unwrap();
    let policy = &attributes.attributes.unwrap()[&QueueAttributeName::RedrivePolicy];
    assert!(policy.contains("12"), "more than the worker's 10: {policy}");
    let mut removed = run(Mode::Destroy).await;
    removed.reverse();
    assert_eq!(removed, all(Change::Deleted));
    assert_eq!(own_queues(&emulator).await, Vec::<String>::new());
}
