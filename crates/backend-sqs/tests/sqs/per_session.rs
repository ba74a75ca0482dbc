//! A reply queue for each session.

use backend_sqs::ResponseQueue;
use proxy_core::{
    backend::{Backend, Disposition, Remote},
    error::{Delivery, ErrorKind},
    id::RouteKey,
};
use serde_json::Value;
use testkit::emulator::Failure;

use crate::harness::{
    PROXY, REQUESTS, Setup, World, answer, call, connect, emulator, eventually, outbound, reply, take,
};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"1","method":"initialize","params":{}}"#;

fn setup() -> Setup {
    let change = |config: &mut backend_sqs::SqsConfig| {
        config.response_queue_url = None;
        config.response_queue = ResponseQueue::PerSession;
    };
    Setup { change, ..Setup::default() }
}

/// Begins a session and returns the queue that its initialize names.
async fn begun(world: &World, route: &RouteKey) -> String {
    world.backend.send(outbound(route, INITIALIZE)).await.unwrap();
    let taken = take(&world.far, &world.emulator.queue_url(REQUESTS), 1).await;
    let body: Value = serde_json::from_str(taken[0].body().unwrap()).unwrap();
    let url = body["params"]["response_queue_url"].as_str().unwrap();
    assert_eq!(body["params"]["_meta"]["responseQueueUrl"], url);
    let context = taken[0].message_attributes().unwrap()["ProxyContext"].string_value().unwrap();
    assert_eq!(serde_json::from_str::<Value>(context).unwrap()["reply"]["sqs"], url);
    url.to_owned()
}

fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn each_session_has_its_queue_until_it_closes() {
    let mut world = World::with(emulator().await, setup()).await;
    assert_eq!(world.backend.reply_queue_url(), None);
    let (first, second) = (world.route(), world.route());
    let (first_url, second_url) = (begun(&world, &first).await, begun(&world, &second).await);
    assert_ne!(first_url, second_url);
    let prefix = format!("mcp-proxy-responses-{}-", world.instance.as_str());
    for url in [&first_url, &second_url] {
        assert!(name_of(url).starts_with(&prefix) && name_of(url).len() <= 80, "{url}");
        let tags = world.far.list_queue_tags().queue_url(url).send().await.unwrap().tags.unwrap();
        assert_eq!(tags["mcp-proxy-instance"], world.instance.as_str());
        assert!(tags["mcp-proxy-alive-until"].parse::<u64>().is_ok());
    }
    for (route, url) in [(&second, &second_url), (&first, &first_url)] {
        reply(&world.far, url, Some(route.as_str()), &answer(1), &[]).await;
        assert_eq!(world.delivered().await.route.as_ref(), Some(route));
    }

    world.backend.send(outbound(&first, &call(2))).await.unwrap();
    world.backend.close(&Remote { route: first.clone(), peer: None }).await.unwrap();
    assert_eq!(world.emulator.depth(name_of(&first_url)), None, "deleted with its session");
    let error = world.backend.send(outbound(&first, &call(3))).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::SessionGone, Delivery::NotSent));
    reply(&world.far, &second_url, Some(second.as_str()), &answer(2), &[]).await;
    world.delivered().await;

    world.stop().await;
    assert_eq!(world.emulator.depth(name_of(&second_url)), None, "deleted at the end");
}

#[tokio::test]
async fn what_comes_in_before_the_end_is_handed_over() {
    let mut world = World::with(emulator().await, setup()).await;
    let route = world.route();
    let url = begun(&world, &route).await;
    eventually(|| world.emulator.waiting(name_of(&url)) > 0).await;
    reply(&world.far, &url, Some(route.as_str()), &answer(1), &[]).await;
    world.stop().await;
    assert_eq!(world.delivered().await.route, Some(route));
    let accepted = format!(
        r#"mcp_proxy_backend_deliveries_total{{backend="sqs",disposition="{}"}}"#,
        Disposition::Accepted.as_str()
    );
    assert_eq!(world.count(&accepted), 1);
}

#[tokio::test]
async fn a_queue_that_cannot_be_created_fails_that_initialize_alone() {
    let mut world = World::with(emulator().await, setup()).await;
    world.emulator.deny_to(PROXY, "CreateQueue");
    let error = world.backend.send(outbound(&world.route(), INITIALIZE)).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Denied, Delivery::NotSent));
    assert!(error.to_string().contains("sqs:CreateQueue"), "{error}");
    world.emulator.allow("CreateQueue");
    // AWS throttles creation: that passes
    world.emulator.fail_next("CreateQueue", Failure::Throttled, 2);
    begun(&world, &world.route()).await;
    world.stop().await;
}

#[tokio::test]
async fn a_session_that_closes_before_its_queue_is_there_leaves_none_behind() {
    let mut world = World::with(emulator().await, setup()).await;
    let route = world.route();
    let mut sending = Box::pin(world.backend.send(outbound(&route, INITIALIZE)));
    let created = || world.calls("CreateQueue") > 1;
    tokio::select! {
        sent = &mut sending => panic!("before the queue can be used: {sent:?}"),
        () = eventually(created) => {}
    }
    world.backend.close(&Remote { route, peer: None }).await.unwrap();
    drop(sending);
    let left = world.far.list_queues().queue_name_prefix("mcp-proxy").send().await.unwrap();
    assert_eq!(left.queue_urls(), &[] as &[String]);
    world.stop().await;
}

#[tokio::test]
async fn a_start_shows_what_is_not_allowed_and_leaves_nothing_behind() {
    let emulator = emulator().await;
    let change = setup().change;
    emulator.deny_to(PROXY, "CreateQueue");
    let error = connect(&emulator, change).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    emulator.allow("CreateQueue");
    connect(&emulator, change).await.unwrap();
    let left = emulator.client().list_queues().queue_name_prefix("mcp-proxy").send().await.unwrap();
    assert_eq!(left.queue_urls(), &[] as &[String]);
}
