//! What goes to a worker that named a queue of its own, and how sessions end at a worker.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_sqs::types::Message as SqsMessage;
use proxy_core::{
    ProxyContext,
    backend::{Backend, Outbound, Peer, Remote},
    error::{Delivery, ErrorKind},
    id::RouteKey,
};
use serde_json::Value;
use testkit::emulator::Emulator;

use crate::harness::{PROXY, REPLIES, REQUESTS, Setup, World, call, emulator, outbound, take};

/// A name that a worker gives its own queue.
const OWN: &str = "mcp-worker-0123456789abcdefghijkl";

/// A far end that is our worker, which reads the queue with this URL alone.
fn worker(owner: Option<&str>) -> Arc<Peer> {
    Arc::new(Peer { owner: owner.map(Into::into), eras: vec!["legacy".into()], ..Peer::default() })
}

pub(crate) fn owned(route: &RouteKey, text: &str, owner: &str) -> Outbound {
    let mut outbound = outbound(route, text);
    outbound.remote.peer = Some(worker(Some(owner)));
    outbound
}

/// The attributes, without the time.
fn attributes(message: &SqsMessage) -> BTreeMap<String, String> {
    let attributes = message.message_attributes().unwrap().iter();
    let texts = attributes.filter(|(name, _)| *name != "Timestamp");
    texts.map(|(name, value)| (name.clone(), value.string_value().unwrap().to_owned())).collect()
}

fn context(message: &SqsMessage) -> Value {
    serde_json::from_str(&attributes(message)["ProxyContext"]).unwrap()
}

async fn next(world: &World, name: &str) -> SqsMessage {
    take(&world.far, &world.emulator.queue_url(name), 1).await.remove(0)
}

fn waiting(world: &World, name: &str) -> usize {
    world.emulator.depth(name).unwrap().visible
}

#[tokio::test]
async fn a_sessions_later_messages_go_to_the_queue_of_its_worker() {
    let mut world = World::start().await;
    let owner = world.emulator.create_queue(OWN, &[]).unwrap();
    let route = world.route();
    world.backend.send(owned(&route, &call(1), &owner)).await.unwrap();
    let direct = next(&world, OWN).await;
    assert_eq!(direct.body(), Some(&*call(1)));
    assert_eq!(attributes(&direct)["SessionId"], route.as_str());
    assert_eq!(context(&direct)["reply"]["sqs"], world.emulator.queue_url(REPLIES));
    assert_eq!(waiting(&world, REQUESTS), 0);
    world.stop().await;
}

#[tokio::test]
async fn what_goes_from_a_fifo_queue_to_a_worker_has_no_group() {
    let emulator = Emulator::start().await.unwrap();
    emulator.create_queue("requests.fifo", &[("FifoQueue", "true")]).unwrap();
    emulator.create_queue(REPLIES, &[]).unwrap();
    let setup = Setup { change: |config| config.read_queue_url.push_str(".fifo"), ..Setup::default() };
    let mut world = World::with(emulator.into(), setup).await;
    let owner = world.emulator.create_queue(OWN, &[]).unwrap();
    world.backend.send(owned(&world.route(), &call(1), &owner)).await.unwrap();
    assert_eq!(next(&world, OWN).await.body(), Some(&*call(1)));
    world.stop().await;
}

#[tokio::test]
async fn a_queue_that_is_not_allowed_is_named_to_whoever_gets_the_message() {
    let setup = Setup { change: |config| config.owner_allow = Some(Vec::new()), ..Setup::default() };
    let mut world = World::with(emulator().await, setup).await;
    let owner = world.emulator.create_queue(OWN, &[]).unwrap();
    world.backend.send(owned(&world.route(), &call(1), &owner)).await.unwrap();
    assert_eq!(context(&next(&world, REQUESTS).await)["owner"], owner);
    assert_eq!(waiting(&world, OWN), 0);
    world.stop().await;
}

#[tokio::test]
async fn what_is_near_is_allowed_and_nothing_else() {
    let mut world = World::start().await;
    let elsewhere = "https://sqs.eu-west-1.amazonaws.com/210987654321/theirs";
    world.backend.send(owned(&world.route(), &call(1), elsewhere)).await.unwrap();
    assert_eq!(context(&next(&world, REQUESTS).await)["owner"], elsewhere);
    world.stop().await;
}

#[tokio::test]
async fn a_queue_that_aws_denies_costs_no_message() {
    let mut world = World::start().await;
    let owner = world.emulator.create_queue(OWN, &[]).unwrap();
    let denied = testkit::emulator::Failure::AccessDenied;
    world.emulator.fail_next_of(PROXY, "SendMessageBatch", denied, 1);
    for id in [1, 2] {
        world.backend.send(owned(&world.route(), &call(id), &owner)).await.unwrap();
        let message = next(&world, REQUESTS).await;
        assert_eq!(message.body(), Some(&*call(id)));
        assert_eq!(context(&message)["owner"], owner);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_no_more_takes_its_sessions_with_it() {
    let mut world = World::start().await;
    let gone = world.emulator.queue_url(OWN);
    let error = world.backend.send(owned(&world.route(), &call(1), &gone)).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::SessionGone, Delivery::NotSent), "{error}");
    assert_eq!(waiting(&world, REQUESTS), 0);
    let remote = Remote { route: world.route(), peer: Some(worker(Some(&gone))) };
    world.backend.close(&remote).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_worker_is_told_that_a_session_ends_and_an_asyncmcp_server_is_not() {
    let mut world = World::start().await;
    let owner = world.emulator.create_queue(OWN, &[]).unwrap();
    for (peer, name) in [(worker(None), REQUESTS), (worker(Some(&owner)), OWN)] {
        let remote = Remote { route: world.route(), peer: Some(peer) };
        world.backend.close(&remote).await.unwrap();
        let message = next(&world, name).await;
        assert_eq!(message.body(), Some(ProxyContext::END));
        assert_eq!(context(&message)["end"], true);
        assert_eq!(attributes(&message)["SessionId"], remote.route.as_str());
    }
    world.backend.close(&Remote { route: world.route(), peer: None }).await.unwrap();
    assert_eq!(waiting(&world, REQUESTS) + waiting(&world, OWN), 0);
    world.stop().await;
}
