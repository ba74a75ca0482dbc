//! The documented policies are the least that works: each permission is used, and none other is.

use std::collections::BTreeSet;

use backend_sqs::{ResponseQueue, SqsConfig, policies};
use proxy_core::{
    backend::{Backend, Disposition, Settlement},
    id::InstanceId,
};
use serde_json::Value;
use testkit::emulator::{Emulator, client_for};

use crate::{
    harness::{
        PROXY, REPLIES, REQUESTS, Setup, World, answer, call, emulator, eventually, outbound, reply, take,
    },
    owner::owned,
    reaping::left_behind,
};

const PREFIX: &str = "mcp-proxy-responses-";
/// What a worker's own queue is called.
const WORKER: &str = "mcp-worker-";
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"1","method":"initialize","params":{}}"#;

/// Each action with each resource that the policy for `principal` allows.
fn documented(config: &SqsConfig, principal: &str) -> BTreeSet<(String, String)> {
    let policy = policies(config).into_iter().find(|policy| policy.principal == principal).unwrap();
    let document: Value = serde_json::from_str(&policy.document).unwrap();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut allowed = BTreeSet::new();
    for statement in document["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        for action in texts(&statement["Action"]) {
            for resource in texts(&statement["Resource"]) {
                let name = resource.rsplit(':').next().unwrap().to_owned();
                assert!(allowed.insert((action.clone(), name)), "{action} twice");
            }
        }
    }
    allowed
}

/// Each permission that this access key used, and on what; all created queues of a kind are one.
fn used(emulator: &Emulator, access_key: &str) -> BTreeSet<(String, String)> {
    let ours = emulator.uses().into_iter().filter(|used| used.access_key == access_key);
    ours.map(|used| {
        let created = [PREFIX, WORKER].into_iter().find(|prefix| used.resource.starts_with(prefix));
        (used.permission, created.map_or(used.resource, |prefix| format!("{prefix}*")))
    })
    .collect()
}

/// What a session does: a handshake, a call, a notification that there is no memory for at first, an answer.
async fn main_paths(world: &mut World, replies: Option<&str>) {
    let route = world.route();
    world.backend.send(outbound(&route, INITIALIZE)).await.unwrap();
    let taken = take(&world.far, &world.emulator.queue_url(REQUESTS), 1).await;
    let body: Value = serde_json::from_str(taken[0].body().unwrap()).unwrap();
    let url = body["params"]["response_queue_url"].as_str().unwrap().to_owned();
    assert!(replies.is_none_or(|name| url.ends_with(name)));
    world.backend.send(outbound(&route, &call(1))).await.unwrap();
    let owner = world.emulator.create_queue(&format!("{WORKER}{}", world.instance.as_str()), &[]).unwrap();
    world.backend.send(owned(&route, &call(1), &owner)).await.unwrap();
    world.backend.check().await.unwrap();
    world.inbox.settle_next([Settlement::Now(Disposition::Busy)]);
    for id in [1, 2] {
        reply(&world.far, &url, Some(route.as_str()), &answer(id), &[]).await;
        world.delivered().await;
    }
    world.delivered().await;
    let name = url.rsplit('/').next().unwrap().to_owned();
    world.emptied(&name).await;
    eventually(|| world.emulator.waiting(&name) > 0).await;
}

#[tokio::test]
async fn with_a_reply_queue_that_is_given() {
    let mut world = World::start().await;
    main_paths(&mut world, Some(REPLIES)).await;
    world.stop().await;
    let mut config = SqsConfig::new(world.emulator.queue_url(REQUESTS));
    config.response_queue_url = Some(world.emulator.queue_url(REPLIES));
    assert_eq!(used(&world.emulator, PROXY), documented(&config, "the proxy"));
}

#[tokio::test]
async fn with_reply_queues_of_the_proxys_own() {
    for kind in [ResponseQueue::Shared, ResponseQueue::PerSession] {
        let emulator = emulator().await;
        let dead = left_behind(&emulator, PREFIX.trim_end_matches('-'), &InstanceId::random(), 60).await;
        let change = match kind {
            ResponseQueue::Shared => |config: &mut SqsConfig| config.response_queue_url = None,
            ResponseQueue::PerSession => |config: &mut SqsConfig| {
                config.response_queue_url = None;
                config.response_queue = ResponseQueue::PerSession;
            },
        };
        let mut world = World::with(emulator, Setup { change, ..Setup::default() }).await;
        eventually(|| world.emulator.depth(&dead).is_none()).await;
        main_paths(&mut world, None).await;
        world.stop().await;
        let mut config = SqsConfig::new(world.emulator.queue_url(REQUESTS));
        config.response_queue = kind;
        assert_eq!(used(&world.emulator, PROXY), documented(&config, "the proxy"), "{kind:?}");
    }
}

#[tokio::test]
async fn the_doctor_asks_for_nothing_that_the_proxy_does_not_need() {
    for change in [
        |config: &mut SqsConfig, replies: String| config.response_queue_url = Some(replies),
        |_: &mut SqsConfig, _: String| (),
        |config: &mut SqsConfig, _: String| config.response_queue = ResponseQueue::PerSession,
    ] {
        let emulator = emulator().await;
        let mut config = SqsConfig::new(emulator.queue_url(REQUESTS));
        change(&mut config, emulator.queue_url(REPLIES));
        crate::doctor::seen(&emulator, &config).await;
        let own = ("sts:GetCallerIdentity".to_owned(), "*".to_owned());
        let used: BTreeSet<_> = used(&emulator, PROXY).into_iter().filter(|used| *used != own).collect();
        let documented = documented(&config, "the proxy");
        let more: Vec<_> = used.difference(&documented).collect();
        assert!(more.is_empty(), "{more:?}");
    }
}

#[tokio::test]
async fn the_server_needs_what_asyncmcp_calls() {
    // asyncmcp 0.2.1: sqs/manager.py receives, common/aws_queue_utils.py deletes, sqs/server.py sends
    let emulator = emulator().await;
    let far = client_for(&emulator.endpoint_url(), "server");
    let near = emulator.client();
    reply(&near, &emulator.queue_url(REQUESTS), None, &call(1), &[]).await;
    take(&far, &emulator.queue_url(REQUESTS), 1).await;
    reply(&far, &emulator.queue_url(REPLIES), None, &answer(1), &[]).await;
    let mut config = SqsConfig::new(emulator.queue_url(REQUESTS));
    config.response_queue_url = Some(emulator.queue_url(REPLIES));
    assert_eq!(used(&emulator, "server"), documented(&config, "the server"));
    config.response_queue_url = None;
    let wildcard = ("sqs:SendMessage".to_owned(), format!("{PREFIX}*"));
    assert!(documented(&config, "the server").contains(&wildcard));
}
