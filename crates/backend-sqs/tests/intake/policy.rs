//! The documented policy is the least that works: each permission is used, and none other is.

use std::{collections::BTreeSet, time::Duration};

use backend_sqs::{SqsIntakeConfig, intake_policies};
use prometheus_client::registry::Registry;
use proxy_core::{
    ReplyAddress,
    id::{InstanceId, RemoteSession},
    intake::{Intake as _, Reply, ReplyTo, Settled},
    message::Message,
};
use serde_json::Value;
use testkit::emulator::Emulator;
use tokio::time::Instant;

use crate::{
    fleet::left_behind,
    harness::{
        LETTERS, PATIENCE, PREFIX, REQUESTS, Setup, WORKER, World, answer, call, connect, emulator,
        eventually,
    },
};

/// Each action with each resource that the worker's policy allows.
pub(crate) fn documented(config: &SqsIntakeConfig) -> BTreeSet<(String, String)> {
    let policy = intake_policies(config).into_iter().find(|policy| policy.principal == "the worker").unwrap();
    let document: Value = serde_json::from_str(&policy.document).unwrap();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut allowed = BTreeSet::new();
    for statement in document["Statement"].as_array().unwrap() {
        for action in texts(&statement["Action"]) {
            for resource in texts(&statement["Resource"]) {
                let name = resource.rsplit(':').next().unwrap().to_owned();
                assert!(allowed.insert((action.clone(), name)), "{action} twice");
            }
        }
    }
    allowed
}

/// Each permission that the worker used, and on what; all queues of workers are one, and so are all that clients name.
pub(crate) fn used(emulator: &Emulator) -> BTreeSet<(String, String)> {
    let ours = emulator.uses().into_iter().filter(|used| used.access_key == WORKER);
    ours.map(|used| {
        let is_worker = used.resource.starts_with(PREFIX);
        let sends_to_any = used.permission == "sqs:SendMessage" && (is_worker || used.resource == "client");
        let resource = match used.resource {
            _ if sends_to_any => "*".to_owned(),
            _ if is_worker => format!("{PREFIX}-*"),
            other => other,
        };
        (used.permission, resource)
    })
    .collect()
}

pub(crate) fn config(emulator: &Emulator) -> SqsIntakeConfig {
    let mut config = SqsIntakeConfig::new(emulator.queue_url(REQUESTS));
    config.dead_letter_queue_url = Some(emulator.queue_url(LETTERS));
    config
}

#[tokio::test]
async fn a_worker_uses_what_its_policy_says_and_nothing_else() {
    let emulator = emulator().await;
    let client = emulator.create_queue("client", &[]).unwrap();
    let dead = left_behind(&emulator, &InstanceId::random(), 60).await;
    let change = |config: &mut SqsIntakeConfig| config.visibility_timeout = Duration::from_secs(2);
    // another worker, which does not read yet
    let other = connect(&emulator, Setup::default(), &mut Registry::default()).await.unwrap();
    let mut world = World::with(emulator, Setup { change, ..Setup::default() }).await;
    world.taken().await;
    eventually(|| world.emulator.depth(&dead).is_none()).await;
    // a call that takes long, what is no message, what is another's, an answer, and what is given back
    let settle = world.desk.settle_next_later();
    world.put(REQUESTS, &call(1), &[]).await;
    let arrival = world.taken().await;
    world.put(REQUESTS, "no message", &[]).await;
    eventually(|| world.emulator.depth(LETTERS).unwrap().visible == 1).await;
    world.intake.forward(other.owner().unwrap(), &arrival).await.unwrap();
    world
        .intake
        .reply(Reply {
            session: RemoteSession::parse("s").ok(),
            to: ReplyTo::Address(ReplyAddress::Sqs(client.into())),
            request: None,
            context: None,
            payloads: None,
            deadline: Instant::now() + PATIENCE,
            message: Message::parse(answer(1)).unwrap(),
        })
        .await
        .unwrap();
    settle.send(Settled::GiveBack(Duration::from_secs(1))).unwrap();
    world.taken().await;
    world.emptied(REQUESTS).await;
    world.intake.check().await.unwrap();
    world.stop().await;
    assert_eq!(used(&world.emulator), documented(&config(&world.emulator)));
}
