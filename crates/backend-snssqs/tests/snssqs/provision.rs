//! What provisioning creates, keeps, changes and removes.

use aws_sdk_sqs::types::QueueAttributeName;
use backend_snssqs::{SnsSqsConfig, provision};
use proxy_core::{
    error::ErrorKind,
    operator::{Change, Mode, Step},
};
use testkit::emulator::{Emulator, client_for, sns_client_for};

use crate::harness::{PROXY, Topics, World, answer, call, outbound};

const ARN: &str = "arn:aws:sns:us-east-1:000000000000:";

/// With names that are not there yet.
fn config(emulator: &Emulator, request_topic: &str, reply_queue: Option<&str>) -> SnsSqsConfig {
    let mut config = SnsSqsConfig::new(format!("{ARN}{request_topic}"), format!("{ARN}answers"));
    config.endpoint_url = Some(emulator.endpoint_url());
    config.sqs_queue_url = reply_queue.map(|name| emulator.queue_url(name));
    config
}

async fn steps(emulator: &Emulator, config: &SnsSqsConfig, mode: Mode) -> Vec<(Change, String)> {
    let endpoint = emulator.endpoint_url();
    let clients = (sns_client_for(&endpoint, PROXY), client_for(&endpoint, PROXY));
    let mut steps = Vec::new();
    let mut report = |step: Step| steps.push((step.change, format!("{} {}", step.kind, step.name)));
    provision(config, mode, Some(clients), &mut report).await.unwrap();
    steps
}

fn all(change: Change, names: &[&str]) -> Vec<(Change, String)> {
    names.iter().map(|name| (change, (*name).to_owned())).collect()
}

const ALL: [&str; 9] = [
    "topic calls",
    "queue calls-dead-letters",
    "queue calls",
    "queue policy calls",
    "subscription calls to calls",
    "topic answers",
    "queue replies",
    "queue policy replies",
    "subscription replies to answers",
];

#[tokio::test]
async fn twice_is_as_once_and_all_of_it_can_be_removed() {
    let emulator = Emulator::start().await.unwrap();
    let config = config(&emulator, "calls", Some("replies"));
    assert_eq!(steps(&emulator, &config, Mode::DryRun).await, all(Change::Created, &ALL));
    for changing in ["CreateTopic", "CreateQueue", "SetQueueAttributes", "Subscribe"] {
        assert_eq!(emulator.calls().of(PROXY, changing), 0, "a dry run only reads");
    }
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, all(Change::Created, &ALL));
    let changed = ["SetQueueAttributes", "Subscribe"].map(|action| emulator.calls().of(PROXY, action));
    assert_eq!(steps(&emulator, &config, Mode::Apply).await, all(Change::Kept, &ALL));
    assert_eq!(steps(&emulator, &config, Mode::DryRun).await, all(Change::Kept, &ALL));
    assert_eq!(["SetQueueAttributes", "Subscribe"].map(|action| emulator.calls().of(PROXY, action)), changed);
    let removed = [
        "subscription calls to calls",
        "queue calls",
        "queue calls-dead-letters",
        "topic calls",
        "subscription replies to answers",
        "queue replies",
        "topic answers",
    ];
    assert_eq!(steps(&emulator, &config, Mode::Destroy).await, all(Change::Deleted, &removed));
    assert_eq!(steps(&emulator, &config, Mode::Destroy).await, all(Change::Absent, &removed));
}

#[tokio::test]
async fn what_was_provisioned_carries_messages_both_ways() {
    for (request_topic, reply_queue) in [("calls", Some("replies")), ("calls", None), ("calls.fifo", None)] {
        let emulator = Emulator::start().await.unwrap();
        let config = config(&emulator, request_topic, reply_queue);
        steps(&emulator, &config, Mode::Apply).await;
        let requests = config.sns_topic_arn.clone();
        let topics = Topics { emulator, requests, responses: config.response_topic_arn.clone() };
        let mut world = World::with(topics, config).await;
        world.ready().await;
        proxy_core::backend::Backend::send(&*world.backend, outbound(&world.route(), &call(1)))
            .await
            .unwrap();
        assert_eq!(world.topics.take(1).await[0].body(), Some(&*call(1)));
        world.topics.publish(world.route().as_str(), &answer(1)).await;
        world.delivered().await;
        world.stop().await;
    }
}

#[tokio::test]
async fn what_is_different_is_changed_and_the_rest_kept() {
    let emulator = Emulator::start().await.unwrap();
    let config = config(&emulator, "calls", Some("replies"));
    steps(&emulator, &config, Mode::Apply).await;
    let far = emulator.client();
    let url = emulator.queue_url("calls");
    let theirs = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Deny","Principal":"*","Action":"sqs:PurgeQueue","Resource":"*"}]}"#;
    let set = far.set_queue_attributes().queue_url(&url).attributes(QueueAttributeName::Policy, theirs);
    set.send().await.unwrap();
    let mut other = config.clone();
    other.raw_message_delivery = false;
    let changed: Vec<_> = ALL
        .iter()
        .map(|name| match *name {
            "queue policy calls" | "subscription replies to answers" => (Change::Updated, (*name).to_owned()),
            name => (Change::Kept, name.to_owned()),
        })
        .collect();
    assert_eq!(steps(&emulator, &other, Mode::DryRun).await, changed);
    assert_eq!(steps(&emulator, &other, Mode::Apply).await, changed);
    assert_eq!(steps(&emulator, &other, Mode::Apply).await, all(Change::Kept, &ALL));
    let found = far.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::Policy);
    let found = found.send().await.unwrap().attributes.unwrap().remove(&QueueAttributeName::Policy).unwrap();
    assert!(found.contains("Theirs") && found.contains("TopicSends"), "{found}");
}

#[tokio::test]
async fn what_was_there_before_is_not_removed() {
    let topics = Topics::with("calls", &[], &[]).await;
    let mut config = topics.config_with_queue();
    let emulator = &topics.emulator;
    config.endpoint_url = Some(emulator.endpoint_url());
    steps(emulator, &config, Mode::Apply).await;
    let removed = [
        (Change::ByHand, "subscription calls to calls".to_owned()),
        // it has no dead letters any more
        (Change::Updated, "queue calls".to_owned()),
        (Change::ByHand, "queue calls".to_owned()),
        (Change::Deleted, "queue calls-dead-letters".to_owned()),
        (Change::ByHand, "topic calls".to_owned()),
        (Change::ByHand, "subscription responses to responses".to_owned()),
        (Change::ByHand, "queue responses".to_owned()),
        (Change::ByHand, "topic responses".to_owned()),
    ];
    assert_eq!(steps(emulator, &config, Mode::Destroy).await, removed);
    assert_eq!(topics.subscriptions().await.len(), 1);
    assert!(emulator.depth("calls").is_some() && emulator.depth("responses").is_some());
}

#[tokio::test]
async fn a_subscription_that_waits_for_confirmation_is_left_to_its_owner() {
    let emulator = Emulator::start().await.unwrap();
    let mut config = config(&emulator, "calls", Some("replies"));
    steps(&emulator, &config, Mode::Apply).await;
    let subscribe = emulator.sns_client().subscribe().topic_arn(&config.response_topic_arn).protocol("sqs");
    subscribe.endpoint("arn:aws:sqs:us-east-1:123456789012:replies").send().await.unwrap();
    // the queue of the other account, as far as its ARN tells
    config.sqs_queue_url = Some(emulator.queue_url("replies").replace("000000000000", "123456789012"));
    for mode in [Mode::DryRun, Mode::Apply, Mode::Destroy] {
        let seen = steps(&emulator, &config, mode).await;
        assert!(seen.contains(&(Change::ByHand, "subscription replies to answers".to_owned())), "{seen:?}");
    }
}

#[tokio::test]
async fn the_servers_queue_may_have_a_name_of_its_own() {
    let emulator = Emulator::start().await.unwrap();
    let mut config = config(&emulator, "calls", None);
    config.server_queue_name = Some("weather-server".to_owned());
    steps(&emulator, &config, Mode::Apply).await;
    assert!(emulator.depth("weather-server").is_some() && emulator.depth("calls").is_none());
}

#[tokio::test]
async fn a_denial_names_the_permission_and_the_topic() {
    let emulator = Emulator::start().await.unwrap();
    emulator.deny_to(PROXY, "sns:CreateTopic");
    let endpoint = emulator.endpoint_url();
    let clients = (sns_client_for(&endpoint, PROXY), client_for(&endpoint, PROXY));
    let config = config(&emulator, "calls", None);
    let error = provision(&config, Mode::Apply, Some(clients), &mut |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("sns:CreateTopic") && error.to_string().contains("calls"), "{error}");
    let error = provision(&SnsSqsConfig::default(), Mode::Apply, None, &mut |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
