//! What is found out at start, and the queue that is created then.

use std::sync::Arc;

use aws_sdk_sqs::types::QueueAttributeName;
use backend_sqs::SqsConfig;
use proxy_core::{
    backend::Backend,
    error::{BackendError, ErrorKind},
    id::RouteKey,
};
use testkit::emulator::{Emulator, Failure};
use tokio::time::timeout;

use crate::harness::{
    PATIENCE, PROXY, REPLIES, REQUESTS, Setup, World, call, connect, emulator, eventually, reply, take,
};

async fn refused(emulator: &Emulator, change: impl FnOnce(&mut SqsConfig)) -> BackendError {
    connect(emulator, change).await.expect_err("a refusal")
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_named() {
    let emulator = Emulator::start().await.unwrap();
    let error = refused(&emulator, |_| ()).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(&emulator.queue_url(REQUESTS)), "{error}");
    emulator.create_queue(REQUESTS, &[]).unwrap();
    let error = refused(&emulator, |_| ()).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains(&emulator.queue_url(REPLIES)), "{error}");
}

#[tokio::test]
async fn a_missing_permission_is_named_with_its_queue() {
    let emulator = emulator().await;
    for (permission, queue) in [
        ("GetQueueAttributes", REQUESTS),
        ("SendMessage", REQUESTS),
        ("ReceiveMessage", REPLIES),
        ("DeleteMessage", REPLIES),
        ("ChangeMessageVisibility", REPLIES),
    ] {
        emulator.deny_to(PROXY, permission);
        let error = refused(&emulator, |_| ()).await;
        emulator.allow(permission);
        assert_eq!(error.kind(), ErrorKind::Denied, "{permission}");
        let text = error.to_string();
        assert!(text.contains(&format!("grant sqs:{permission} on it")), "{text}");
        assert!(text.contains(&emulator.queue_url(queue)), "{text}");
    }
    emulator.deny_to(PROXY, "CreateQueue");
    let error = refused(&emulator, |config| config.response_queue_url = None).await;
    assert!(error.to_string().contains("sqs:CreateQueue"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_unavailable() {
    let emulator = emulator().await;
    let relay = testkit::relay::Relay::start(emulator.local_addr()).await.unwrap();
    relay.refuse().await.unwrap();
    let client = testkit::emulator::client_for(&relay.endpoint_url(), PROXY);
    let result = client.list_queues().send().await;
    let call =
        aws_common::Call { operation: "start", permission: "sqs:ListQueues", target: "SQS", sends: true };
    let error = call.failed(&result.unwrap_err());
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_any_call() {
    let emulator = emulator().await;
    let error = refused(&emulator, |config| {
        config.response_queue_url = Some(format!("{}.fifo", config.read_queue_url));
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Config);
    let two = |config: &mut SqsConfig| {
        config.message_attributes =
            [("a", "1"), ("b", "2")].map(|(name, value)| (name.into(), value.into())).into();
    };
    assert_eq!(refused(&emulator, two).await.kind(), ErrorKind::Config);
    assert_eq!(emulator.calls().by(PROXY), 0);
}

#[tokio::test]
async fn the_limit_is_the_request_queues_own() {
    let emulator = Emulator::start().await.unwrap();
    emulator.create_queue(REQUESTS, &[("MaximumMessageSize", "2048")]).unwrap();
    emulator.create_queue(REPLIES, &[]).unwrap();
    let backend = connect(&emulator, |_| ()).await.unwrap();
    assert_eq!(backend.limits().message_bytes, 2048);
}

#[tokio::test]
async fn a_reply_queue_is_created_tagged_used_and_deleted() {
    let setup = Setup { change: |config| config.response_queue_url = None, ..Setup::default() };
    let mut world = World::with(emulator().await, setup).await;
    let url = world.backend.reply_queue_url().unwrap().to_owned();
    let name = format!("mcp-proxy-responses-{}", world.instance.as_str());
    assert!(url.ends_with(&name), "{url}");
    let tags = world.far.list_queue_tags().queue_url(&url).send().await.unwrap().tags.unwrap();
    assert_eq!(tags["mcp-proxy-instance"], world.instance.as_str());
    assert!(tags["mcp-proxy-alive-until"].parse::<u64>().is_ok());
    assert_eq!(world.emulator.calls().of(PROXY, "TagQueue"), 0, "the tags come with CreateQueue");
    let attributes = world.far.get_queue_attributes().queue_url(&url);
    let attributes =
        attributes.attribute_names(QueueAttributeName::All).send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::MessageRetentionPeriod], "7200");

    world.send(r#"{"jsonrpc":"2.0","id":"1","method":"initialize","params":{}}"#).await.unwrap();
    let sent = take(&world.far, &world.emulator.queue_url(REQUESTS), 1).await;
    assert!(sent[0].body().unwrap().contains(&url));
    reply(&world.far, &url, Some(world.route().as_str()), &call(1), &[]).await;
    world.delivered().await;

    world.stop().await;
    assert_eq!(world.emulator.depth(&name), None, "deleted at the end");
}

#[tokio::test]
async fn a_created_reply_queue_that_is_lost_is_made_again() {
    let setup = Setup { change: |config| config.response_queue_url = None, ..Setup::default() };
    let World { emulator, mut received, instance, shutdown, mut running, .. } =
        World::with(emulator().await, setup).await;
    let address = emulator.local_addr();
    Arc::into_inner(emulator).unwrap().stop().await.unwrap();
    let emulator = Emulator::bind(address).await.unwrap();
    emulator.create_queue(REQUESTS, &[]).unwrap();
    let name = format!("mcp-proxy-responses-{}", instance.as_str());
    eventually(|| emulator.depth(&name).is_some()).await;
    let route = RouteKey::random(&instance);
    reply(&emulator.client(), &emulator.queue_url(&name), Some(route.as_str()), &call(1), &[]).await;
    let inbound = timeout(PATIENCE, received.recv()).await.unwrap().unwrap();
    assert_eq!(inbound.route, Some(route));
    shutdown.cancel();
    timeout(PATIENCE, running.join_next()).await.unwrap().unwrap().unwrap().unwrap();
    assert_eq!(emulator.depth(&name), None);
}

#[tokio::test]
async fn readiness_follows_the_polls_and_the_request_queue() {
    let emulator = emulator().await;
    let backend = connect(&emulator, |_| ()).await.unwrap();
    backend.check().await.unwrap();
    let mut world = World::with(Arc::clone(&emulator), Setup::default()).await;
    world.polling().await;
    emulator.fail_next("ReceiveMessage", Failure::Unavailable, 6);
    world.reply(Some(world.route().as_str()), &call(1)).await;
    world.delivered().await;
    world
        .counted(r#"mcp_proxy_backend_receive_errors_total{backend="sqs",error_type="unavailable"}"#, 1)
        .await;
    assert_eq!(world.backend.check().await.unwrap_err().kind(), ErrorKind::Unavailable);
    // it recovers by itself
    world.reply(Some(world.route().as_str()), &call(2)).await;
    world.delivered().await;
    world.backend.check().await.unwrap();
    // the request queue is asked about, but not each time
    let asked = world.calls("GetQueueAttributes");
    for _ in 0..5 {
        world.backend.check().await.unwrap();
    }
    assert!(world.calls("GetQueueAttributes") <= asked + 1);
    world.stop().await;
}
