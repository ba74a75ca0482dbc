//! The documented policies are the least that works: each permission is used, and none other is.

use std::{collections::BTreeSet, time::Duration};

use backend_snssqs::{SnsSqsConfig, policies};
use proxy_core::backend::{Backend, Disposition, Settlement};
use serde_json::{Value, json};

use crate::{
    harness::{PREFIX, PROXY, RESPONSES, Topics, WORKERS, World, answer, call, eventually, outbound, pass},
    owner::owned,
    reaping::left_behind,
};

/// Each action with each resource that the policy for `principal` allows.
fn documented(config: &SnsSqsConfig, principal: &str) -> BTreeSet<(String, String)> {
    let policy = policies(config).into_iter().find(|policy| policy.principal == principal).unwrap();
    let document: Value = serde_json::from_str(&policy.document).unwrap();
    let mut allowed = BTreeSet::new();
    for statement in document["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        for action in statement["Action"].as_array().unwrap() {
            for resource in statement["Resource"].as_array().unwrap() {
                let name = resource.as_str().unwrap().rsplit(':').next().unwrap().to_owned();
                assert!(allowed.insert((action.as_str().unwrap().to_owned(), name)), "{action} twice");
            }
        }
    }
    allowed
}

/// Each permission that the proxy used, and on what; all created queues are one.
fn used(topics: &Topics) -> BTreeSet<(String, String)> {
    let ours = topics.emulator.uses().into_iter().filter(|used| used.access_key == PROXY);
    ours.map(|used| {
        let created = [PREFIX, WORKERS].into_iter().find(|prefix| used.resource.starts_with(prefix));
        (used.permission, created.map_or(used.resource, |prefix| format!("{prefix}-*")))
    })
    .collect()
}

/// What a session does: a call, one to a worker with a queue of its own, an answer that there is no memory for at first.
async fn main_paths(world: &mut World) {
    world.ready().await;
    world.backend.send(outbound(&world.route(), &call(1))).await.unwrap();
    world.topics.take(1).await;
    let own = format!("{WORKERS}-{}", world.instance.as_str());
    let owner = world.emulator().create_queue(&own, &[]).unwrap();
    world.backend.send(owned(&world.route(), &call(1), &owner)).await.unwrap();
    world.inbox.settle_next(Settlement::Now(Disposition::Busy));
    world.topics.publish(world.route().as_str(), &answer(1)).await;
    world.delivered().await;
    world.delivered().await;
    world.backend.check().await.unwrap();
    let name = world.backend.reply_queue_url().rsplit('/').next().unwrap().to_owned();
    eventually(|| world.emulator().depth(&name).is_some_and(|depth| depth.visible + depth.in_flight == 0))
        .await;
    eventually(|| world.emulator().waiting(&name) > 0).await;
}

#[tokio::test]
async fn with_a_reply_queue_that_is_given() {
    let topics = Topics::start().await;
    let config = topics.config_with_queue();
    let mut world = World::with(topics, config.clone()).await;
    main_paths(&mut world).await;
    world.stop().await;
    assert_eq!(used(&world.topics), documented(&config, "the proxy"));
}

#[tokio::test]
async fn with_a_queue_and_a_subscription_of_the_proxys_own() {
    let topics = Topics::start().await;
    let dead = left_behind(&topics, PREFIX, 60).await;
    let config = topics.config();
    let mut world = World::with(topics, config.clone()).await;
    eventually(|| world.emulator().depth(&dead).is_none()).await;
    main_paths(&mut world).await;
    pass(Duration::from_mins(6)).await;
    eventually(|| world.calls("TagQueue") > 0 && world.calls("Subscribe") > 1).await;
    let name = Topics::queue_of(&world.instance);
    eventually(|| world.emulator().waiting(&name) > 0).await;
    world.stop().await;
    assert_eq!(used(&world.topics), documented(&config, "the proxy"));
}

#[test]
fn only_queues_of_workers_that_may_be_named_may_be_written_to() {
    let mut config = SnsSqsConfig::new(
        "arn:aws:sns:eu-west-1:123456789012:requests",
        "arn:aws:sns:eu-west-1:123456789012:responses",
    );
    let workers = |config: &SnsSqsConfig| {
        let policy = policies(config).into_iter().find(|policy| policy.principal == "the proxy").unwrap();
        let document: Value = serde_json::from_str(&policy.document).unwrap();
        let statements = document["Statement"].as_array().unwrap().clone();
        statements
            .iter()
            .find(|statement| statement["Sid"] == "Workers")
            .map(|found| found["Resource"].clone())
    };
    assert_eq!(workers(&config).unwrap(), json!(["arn:aws:sqs:eu-west-1:123456789012:mcp-worker-*"]));
    config.owner_allow = Some(vec!["https://sqs.us-east-1.amazonaws.com/210987654321/team-*".to_owned()]);
    assert_eq!(workers(&config).unwrap(), json!(["arn:aws:sqs:us-east-1:210987654321:team-*"]));
    config.owner_allow = Some(Vec::new());
    assert_eq!(workers(&config), None);
}

#[test]
fn the_server_reads_its_queue_and_publishes_answers() {
    // asyncmcp 0.2.1, sns_sqs/manager.py and server.py: receive_message, delete_message, publish
    let config = SnsSqsConfig::new(
        "arn:aws:sns:eu-west-1:123456789012:requests.fifo",
        "arn:aws:sns:eu-west-1:123456789012:responses",
    );
    let expected = [
        ("sns:Publish", RESPONSES),
        ("sqs:DeleteMessage", "requests.fifo"),
        ("sqs:ReceiveMessage", "requests.fifo"),
    ];
    let expected = expected.map(|(action, name)| (action.to_owned(), name.to_owned()));
    assert_eq!(documented(&config, "the server"), BTreeSet::from(expected));
}
