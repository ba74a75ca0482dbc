//! The worker's policy is the least that works: each permission is used, and none other is.

use std::{collections::BTreeSet, time::Duration};

use backend_snssqs::{SnsSqsIntakeConfig, intake_policies};
use proxy_core::{
    ReplyAddress,
    id::{InstanceId, RouteKey},
    intake::{Intake, Settled},
};
use serde_json::Value;

use super::harness::{WORKER, Worker, config, publish, reply};
use crate::{
    harness::{RESPONSES, Topics, WORKERS, answer, call, eventually, pass},
    reaping::left_behind,
};

/// Each action with each resource that the policy allows.
fn documented(config: &SnsSqsIntakeConfig) -> BTreeSet<(String, String)> {
    let [policy] = &intake_policies(config)[..] else { panic!("one policy") };
    assert_eq!(policy.principal, "the worker");
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

/// Each permission that the worker used, and on what; all queues of workers are one, and so are all topics.
fn used(topics: &Topics) -> BTreeSet<(String, String)> {
    let ours = topics.emulator.uses().into_iter().filter(|used| used.access_key == WORKER);
    ours.map(|used| {
        let name = if used.resource.starts_with(WORKERS) { format!("{WORKERS}-*") } else { used.resource };
        let name = if name == RESPONSES { "*".to_owned() } else { name };
        (used.permission, name)
    })
    .collect()
}

#[tokio::test]
async fn a_worker_of_a_fleet_needs_what_its_policy_says() {
    let topics = Topics::start().await;
    let dead = left_behind(&topics, WORKERS, 60).await;
    topics.emulator.create_queue("requests-dead-letters", &[]).unwrap();
    let mut config = config(&topics);
    config.dead_letter_queue_url = Some(topics.emulator.queue_url("requests-dead-letters"));
    let mut worker = Worker::start(&topics.emulator, config.clone(), false).await;
    worker.ready().await;
    eventually(|| topics.emulator.depth(&dead).is_none()).await;
    for settled in
        [Settled::Done, Settled::GiveBack(Duration::ZERO), Settled::Done, Settled::Dead("never".into())]
    {
        worker.desk.settle_next(settled);
    }
    let session = RouteKey::random(&InstanceId::random());
    for number in 1..=3 {
        publish(&topics, &[("SessionId", session.as_str())], &call(number)).await;
    }
    let arrival = worker.arrival().await;
    for _ in 0..3 {
        worker.arrival().await;
    }
    let to = ReplyAddress::Sns(topics.responses.as_str().into());
    worker.intake.reply(reply(to, Some(session.as_str()), &answer(1))).await.unwrap();
    // another worker's session, and one of its own that is given back
    let other = format!("{WORKERS}-{}", InstanceId::random().as_str());
    let url = topics.emulator.create_queue(&other, &[]).unwrap();
    worker.intake.forward(&url, &arrival).await.unwrap();
    worker.desk.settle_next(Settled::GiveBack(Duration::ZERO));
    let own = worker.intake.owner().unwrap().to_owned();
    let send = topics.emulator.client().send_message().queue_url(&own).message_body(call(9));
    send.send().await.unwrap();
    worker.arrival().await;
    worker.arrival().await;
    pass(Duration::from_mins(6)).await;
    eventually(|| topics.emulator.calls().of(WORKER, "TagQueue") > 1).await;
    eventually(|| topics.emulator.depth("requests-dead-letters").is_some_and(|depth| depth.visible == 1))
        .await;
    let idle = |name: &str| topics.emulator.waiting(name) > 0;
    eventually(|| idle("requests") && idle(own.rsplit('/').next().unwrap())).await;
    worker.stop().await;
    assert_eq!(used(&topics), documented(&config));
}

#[test]
fn the_resources_are_those_beside_the_queue() {
    let mut config =
        SnsSqsIntakeConfig::new("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/requests.fifo");
    config.own_queue_prefix = "team".to_owned();
    let policy = intake_policies(&config).remove(0);
    let document: Value = serde_json::from_str(&policy.document).unwrap();
    let statements = document["Statement"].as_array().unwrap();
    let resources: Vec<_> =
        statements.iter().map(|statement| statement["Resource"][0].as_str().unwrap()).collect();
    assert_eq!(
        resources,
        [
            "arn:aws-cn:sqs:cn-north-1:123456789012:requests.fifo",
            "arn:aws-cn:sqs:cn-north-1:123456789012:requests-dead-letters.fifo",
            "arn:aws-cn:sns:cn-north-1:123456789012:*",
            "arn:aws-cn:sqs:cn-north-1:123456789012:team-*",
            "*",
        ]
    );
}
