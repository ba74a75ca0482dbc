//! What an operator sees: the settings' problems, the doctor's line, the policies, and a start without leave.

use aws_common::client::ClientSettings;
use backend_sqs::{
    LargePayloads, LargePayloadsConfig, SqsConfig, SqsIntakeConfig, doctor, intake_doctor, intake_policies,
    policies,
};
use proxy_core::{
    error::{BackendError, ErrorKind},
    operator::{Check, Policy, Verdict},
};
use serde_json::{Value, json};
use testkit::emulator::Emulator;

use crate::harness::{BUCKET, REPLIES, REQUESTS, emulator, payloads, sdk, settings};

fn configs(emulator: &Emulator) -> (SqsConfig, SqsIntakeConfig) {
    let mut proxy = SqsConfig::new(emulator.queue_url(REQUESTS));
    proxy.response_queue_url = Some(emulator.queue_url(REPLIES));
    proxy.large_payloads = Some(settings(emulator));
    let mut worker = SqsIntakeConfig::new(emulator.queue_url(REQUESTS));
    worker.large_payloads = Some(settings(emulator));
    (proxy, worker)
}

async fn said(emulator: &Emulator) -> [Verdict; 2] {
    let (proxy, worker) = configs(emulator);
    let mut seen = Vec::new();
    let mut report = |check: Check| {
        if &*check.subject == "large payloads" {
            seen.push(check.verdict);
        }
    };
    doctor(&proxy, Some(sdk(emulator)), &mut report).await;
    intake_doctor(&worker, 5, true, Some(sdk(emulator)), &mut report).await;
    seen.try_into().unwrap()
}

#[tokio::test]
async fn the_doctor_tries_one_and_names_what_is_denied() {
    let emulator = emulator().await;
    for verdict in said(&emulator).await {
        assert!(matches!(verdict, Verdict::Good(_)), "{verdict:?}");
    }
    assert!(emulator.objects(BUCKET).is_empty());
    emulator.deny("s3:PutObject");
    for verdict in said(&emulator).await {
        let text = format!("{verdict:?}");
        assert!(!matches!(verdict, Verdict::Good(_)) && text.contains("grant s3:PutObject"), "{text}");
    }
}

#[tokio::test]
async fn a_start_without_leave_ends_with_the_permission_that_is_missing() {
    let emulator = emulator().await;
    emulator.deny("s3:DeleteObject");
    let started = |own: Option<LargePayloads>| async {
        let started = LargePayloads::at_start(own, None, &ClientSettings::default(), "").await;
        started.map(|payloads| payloads.is_some())
    };
    let error: BackendError = started(Some(payloads(&emulator))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("grant s3:DeleteObject"), "{error}");
    assert!(!started(None).await.unwrap());
}

#[tokio::test]
async fn the_policies_allow_the_objects_under_the_prefix_and_no_others() {
    let (proxy, worker) = configs(&emulator().await);
    let statements = |policy: &Policy| -> Vec<Value> {
        let document: Value = serde_json::from_str(&policy.document).unwrap();
        document["Statement"].as_array().unwrap().clone()
    };
    // the page docs/large-messages.md shows the same
    let expected = [
        json!({"Sid": "LargePayloads", "Effect": "Allow", "Action": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            "Resource": ["arn:aws:s3:::my-payloads/mcp/*"]}),
        json!({"Sid": "LargePayloadsBucket", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::my-payloads"]}),
    ];
    let (of_proxy, of_worker) = (policies(&proxy), intake_policies(&worker));
    assert!(statements(&of_proxy[0]).ends_with(&expected) && statements(&of_worker[0]).ends_with(&expected));
    assert_eq!(statements(&of_proxy[1]).len(), 2, "an asyncmcp server has nothing to do with it");
}

#[tokio::test]
async fn the_problems_of_the_settings_are_named_within_their_table() {
    let (mut proxy, mut worker) = configs(&emulator().await);
    assert_eq!((proxy.validate().len(), worker.validate().len()), (0, 0));
    proxy.large_payloads = Some(LargePayloadsConfig::default());
    worker.large_payloads = Some(LargePayloadsConfig::default());
    for problems in [proxy.validate(), worker.validate()] {
        let keys: Vec<_> = problems.into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["large_payloads.bucket"]);
    }
}
