//! What the doctor finds, and what it leaves behind: nothing.

use std::{collections::BTreeMap, time::Duration};

use aws_common::client::SdkConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use backend_sqs::{SqsConfig, doctor};
use proxy_core::{
    backend::Disposition,
    id::InstanceId,
    operator::{Check, Verdict},
};
use testkit::emulator::Emulator;

use crate::harness::{Otherwise, PROXY, REPLIES, REQUESTS, Setup, World, emulator};

fn sdk(emulator: &Emulator) -> SdkConfig {
    let credentials = Credentials::new(PROXY, "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(emulator.endpoint_url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

fn config(emulator: &Emulator) -> SqsConfig {
    let mut config = SqsConfig::new(emulator.queue_url(REQUESTS));
    config.response_queue_url = Some(emulator.queue_url(REPLIES));
    config
}

/// What is said of each subject.
pub(crate) async fn seen(emulator: &Emulator, config: &SqsConfig) -> BTreeMap<String, Verdict> {
    let mut seen = BTreeMap::new();
    let mut report = |check: Check| assert!(seen.insert(check.subject.into(), check.verdict).is_none());
    doctor(config, Some(sdk(emulator)), &mut report).await;
    seen
}

fn is_good(seen: &BTreeMap<String, Verdict>, subject: &str) -> bool {
    matches!(seen[subject], Verdict::Good(_))
}

#[tokio::test]
async fn all_is_well_and_nothing_is_left_in_the_queue() {
    let emulator = emulator().await;
    emulator.create_queue("dead", &[]).unwrap();
    let redrive = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":5}"#;
    let set = emulator.client().set_queue_attributes().queue_url(emulator.queue_url(REQUESTS));
    set.attributes(aws_sdk_sqs::types::QueueAttributeName::RedrivePolicy, redrive).send().await.unwrap();
    let seen = seen(&emulator, &config(&emulator)).await;
    let subjects: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(
        subjects,
        [
            "clock",
            "credentials",
            "dead-letter queue of the request queue",
            "permission sqs:ChangeMessageVisibility on the reply queue replies",
            "permission sqs:DeleteMessage on the reply queue replies",
            "permission sqs:ReceiveMessage on the reply queue replies",
            "permission sqs:SendMessage on the reply queue replies",
            "permission sqs:SendMessage on the request queue requests",
            "readers of the reply queue replies",
            "redrive policy of the reply queue",
            "region",
            "the reply queue replies",
            "the request queue requests",
        ]
    );
    for subject in subjects {
        assert!(is_good(&seen, subject), "{subject}: {:?}", seen[subject]);
    }
    let Verdict::Good(identity) = &seen["credentials"] else { panic!("{seen:?}") };
    assert!(identity.ends_with(":user/proxy"), "{identity}");
    let left = emulator.depth(REPLIES).unwrap();
    assert_eq!(left.visible + left.in_flight + left.delayed, 0);
    assert_eq!(emulator.depth(REQUESTS).unwrap().visible, 0);
}

#[tokio::test]
async fn what_would_take_answers_away_is_a_warning() {
    let emulator = emulator().await;
    emulator.create_queue("dead", &[]).unwrap();
    let redrive = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":9}"#;
    let set = emulator.client().set_queue_attributes().queue_url(emulator.queue_url(REPLIES));
    set.attributes(aws_sdk_sqs::types::QueueAttributeName::RedrivePolicy, redrive).send().await.unwrap();
    let seen = seen(&emulator, &config(&emulator)).await;
    for subject in ["redrive policy of the reply queue", "dead-letter queue of the request queue"] {
        assert!(matches!(seen[subject], Verdict::Warning { .. }), "{subject}: {:?}", seen[subject]);
    }
}

#[tokio::test]
async fn a_running_proxy_on_the_reply_queue_is_found_and_not_harmed() {
    let emulator = emulator().await;
    let instance = InstanceId::random();
    let otherwise = Otherwise::OwnOnly(instance.clone());
    let mut world = World::with(emulator, Setup { otherwise, instance, ..Setup::default() }).await;
    world.polling().await;
    let seen = seen(&world.emulator, &config(&world.emulator)).await;
    let found = &seen["readers of the reply queue replies"];
    let Verdict::Warning { what, .. } = found else { panic!("{found:?}") };
    assert!(what.contains("somebody else"), "{what}");
    // it lives on, and knows the messages for what they are
    world.reply(Some(world.route().as_str()), &crate::harness::answer(1)).await;
    world.delivered().await;
    assert_eq!(world.count(r#"mcp_proxy_backend_malformed_total{backend="sqs"}"#), 0);
    let foreign = format!(
        r#"mcp_proxy_backend_deliveries_total{{backend="sqs",disposition="{}"}}"#,
        Disposition::Foreign.as_str()
    );
    assert_eq!(world.count(&foreign), 0);
    world.stop().await;
}

#[tokio::test]
async fn answers_that_wait_in_the_queue_are_given_back() {
    let mut world = World::start().await;
    world.stop().await;
    for id in 0..3 {
        world.reply(Some(world.route().as_str()), &crate::harness::answer(id)).await;
    }
    let seen = seen(&world.emulator, &config(&world.emulator)).await;
    let found = &seen["readers of the reply queue replies"];
    let Verdict::Warning { what, .. } = found else { panic!("{found:?}") };
    assert!(what.contains("3 messages"), "{what}");
    let url = world.emulator.queue_url(REPLIES);
    let taken =
        tokio::time::timeout(Duration::from_secs(20), crate::harness::take(&world.far, &url, 3)).await;
    assert_eq!(taken.unwrap().len(), 3);
}

#[tokio::test]
async fn a_missing_permission_and_a_missing_queue_have_their_remedy() {
    let denied = emulator().await;
    denied.deny_to(PROXY, "DeleteMessage");
    let found = seen(&denied, &config(&denied)).await;
    let Verdict::Failed { remedy, .. } = &found["permission sqs:DeleteMessage on the reply queue replies"]
    else {
        panic!("{found:?}")
    };
    assert_eq!(&**remedy, "grant sqs:DeleteMessage on it");
    assert!(matches!(found["readers of the reply queue replies"], Verdict::Skipped(_)));
    assert_eq!(denied.calls().of(PROXY, "SendMessage"), 0);

    let bare = Emulator::start().await.unwrap();
    let found = seen(&bare, &config(&bare)).await;
    for subject in ["the request queue requests", "the reply queue replies"] {
        assert!(matches!(found[subject], Verdict::Failed { .. }), "{subject}: {:?}", found[subject]);
    }
    assert!(is_good(&found, "clock") && is_good(&found, "region"));
}

#[tokio::test]
async fn a_reply_queue_to_be_created_is_tried_and_leaves_nothing_behind() {
    let emulator = emulator().await;
    let config = SqsConfig::new(emulator.queue_url(REQUESTS));
    let found = seen(&emulator, &config).await;
    assert!(is_good(&found, "creation of reply queues"), "{found:?}");
    assert!(is_good(&found, "reply queues that dead proxies left behind"), "{found:?}");
    let left = emulator.client().list_queues().queue_name_prefix("mcp-proxy").send().await.unwrap();
    assert_eq!(left.queue_urls(), &[] as &[String]);
    emulator.deny_to(PROXY, "CreateQueue");
    emulator.deny_to(PROXY, "ListQueues");
    let found = seen(&emulator, &config).await;
    assert!(matches!(found["creation of reply queues"], Verdict::Failed { .. }));
    assert!(matches!(found["reply queues that dead proxies left behind"], Verdict::Warning { .. }));
}

#[tokio::test]
async fn an_endpoint_that_does_not_tell_who_we_are_is_no_failure() {
    let emulator = emulator().await;
    let unknown = testkit::emulator::ServiceError::new("InvalidAction", 400, "there is no such action");
    emulator.fail_next("GetCallerIdentity", testkit::emulator::Failure::Error(unknown), 1);
    let found = seen(&emulator, &config(&emulator)).await;
    assert!(matches!(found["credentials"], Verdict::Skipped(_)), "{:?}", found["credentials"]);
}
