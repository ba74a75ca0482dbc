//! What goes to a worker that named a queue of its own, and how sessions end at a worker.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_sqs::types::Message as SqsMessage;
use proxy_core::{
    backend::{Backend, Outbound, Peer, Remote},
    error::{Delivery, ErrorKind},
    id::{RemoteSession, RouteKey},
};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, PROXY, REQUESTS, Topics, World, call, eventually, outbound};

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

#[tokio::test]
async fn a_sessions_later_messages_go_to_the_queue_of_its_worker() {
    for topics in [Topics::start().await, Topics::fifo().await] {
        let config = topics.config();
        let mut world = World::with(topics, config).await;
        world.ready().await;
        let owner = world.emulator().create_queue(OWN, &[]).unwrap();
        let route = world.route();
        let mut published = outbound(&route, &call(1));
        published.remote.peer = Some(worker(None));
        world.backend.send(published).await.unwrap();
        world.backend.send(owned(&route, &call(1), &owner)).await.unwrap();
        let direct = &world.topics.take_from(OWN, 1).await[0];
        let published = &world.topics.take(1).await[0];
        assert_eq!(direct.body(), Some(&*call(1)));
        let (mut direct, mut published) = (attributes(direct), attributes(published));
        let deadlines = [direct.remove("ProxyContext"), published.remove("ProxyContext")];
        assert_eq!(direct, published, "the same attributes as by the topic");
        let [there, by_topic] = deadlines.map(|text| serde_json::from_str::<Value>(&text.unwrap()).unwrap());
        assert_eq!(there["reply"], json!({ "sns": world.topics.responses }));
        assert_eq!(there["reply"], by_topic["reply"]);
        let requests = world.topics.requests.rsplit(':').next().unwrap();
        assert_eq!(world.emulator().depth(requests).unwrap().visible, 0, "the topic has got one of the two");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_queue_that_is_not_allowed_is_named_to_whoever_gets_the_message() {
    let topics = Topics::start().await;
    let mut config = topics.config();
    config.owner_allow = Some(Vec::new());
    let mut world = World::with(topics, config).await;
    let owner = world.emulator().create_queue(OWN, &[]).unwrap();
    world.backend.send(owned(&world.route(), &call(1), &owner)).await.unwrap();
    let taken = world.topics.take(1).await;
    assert_eq!(context(&taken[0])["owner"], json!(owner));
    assert_eq!(world.emulator().depth(OWN).unwrap().visible, 0);
    world.stop().await;
    // nor is what lies elsewhere than the queue of answers, where nothing is configured
    let mut world = World::start().await;
    let elsewhere = "https://sqs.eu-west-1.amazonaws.com/210987654321/mcp-worker-0123456789abcdefghijkl";
    world.backend.send(owned(&world.route(), &call(1), elsewhere)).await.unwrap();
    let taken = world.topics.take(1).await;
    assert_eq!(context(&taken[0])["owner"], elsewhere);
    world.stop().await;
}

#[tokio::test]
async fn a_queue_that_aws_does_not_let_us_send_to_is_named_to_whoever_gets_the_message() {
    let mut world = World::start().await;
    world.ready().await;
    let owner = world.emulator().create_queue(OWN, &[]).unwrap();
    world.emulator().deny_to(PROXY, "sqs:SendMessage");
    for number in 1..=2 {
        world.backend.send(owned(&world.route(), &call(number), &owner)).await.unwrap();
        let taken = world.topics.take(1).await;
        assert_eq!(taken[0].body(), Some(&*call(number)));
        assert_eq!(context(&taken[0])["owner"], json!(owner));
    }
    assert_eq!(world.calls("SendMessageBatch"), 1, "it is not tried again");
    world.emulator().allow("sqs:SendMessage");
    world.stop().await;
}

#[tokio::test]
async fn what_an_operator_allows_holds_in_the_place_of_the_neighbourhood() {
    let topics = Topics::start().await;
    let mut config = topics.config();
    config.owner_allow = Some(vec![topics.emulator.queue_url("team-a-*")]);
    let mut world = World::with(topics, config).await;
    let theirs = world.emulator().create_queue("team-a-1", &[]).unwrap();
    let other = world.emulator().create_queue(OWN, &[]).unwrap();
    let route = world.route();
    world.backend.send(owned(&route, &call(1), &theirs)).await.unwrap();
    world.backend.send(owned(&route, &call(2), &other)).await.unwrap();
    assert_eq!(world.topics.take_from("team-a-1", 1).await[0].body(), Some(&*call(1)));
    assert_eq!(world.topics.take(1).await[0].body(), Some(&*call(2)));
    world.stop().await;
}

#[tokio::test]
async fn a_worker_whose_queue_is_gone_has_lost_the_session() {
    let mut world = World::start().await;
    let gone = world.emulator().queue_url(OWN);
    let error = world.backend.send(owned(&world.route(), &call(1), &gone)).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::SessionGone, Delivery::NotSent), "{error}");
    assert_eq!(world.emulator().depth(REQUESTS).unwrap().visible, 0, "nothing else is tried");
    world.stop().await;
}

#[tokio::test]
async fn an_end_is_told_to_a_worker_by_its_queue_or_the_topic_and_to_nobody_else() {
    let mut world = World::start().await;
    world.ready().await;
    let owner = world.emulator().create_queue(OWN, &[]).unwrap();
    let close = async |peer: Option<Arc<Peer>>| {
        let route = world.route();
        world.backend.close(&Remote { route: route.clone(), peer }).await.unwrap();
        route
    };
    close(None).await;
    let theirs = Peer { session: RemoteSession::parse("theirs").ok(), ..Peer::default() };
    close(Some(Arc::new(theirs))).await;
    let by_topic = close(Some(worker(None))).await;
    let direct = close(Some(worker(Some(&owner)))).await;
    for (taken, route) in
        [(world.topics.take(1).await, by_topic), (world.topics.take_from(OWN, 1).await, direct)]
    {
        let body: Value = serde_json::from_str(taken[0].body().unwrap()).unwrap();
        assert_eq!(body["method"], "notifications/cancelled");
        assert_eq!(body["params"].get("requestId"), None);
        let attributes = attributes(&taken[0]);
        assert_eq!(attributes["SessionId"], route.as_str());
        assert_eq!(attributes["Method"], "notifications/cancelled");
        assert_eq!((&context(&taken[0])["v"], &context(&taken[0])["end"]), (&json!(1), &json!(true)));
    }
    assert_eq!(world.emulator().depth(REQUESTS).unwrap().visible, 0);
    world.stop().await;
}

#[tokio::test]
async fn an_end_at_a_worker_that_is_gone_is_no_failure_and_one_that_cannot_be_sent_says_so() {
    let mut world = World::start().await;
    let gone = Remote { route: world.route(), peer: Some(worker(Some(&world.emulator().queue_url(OWN)))) };
    world.backend.close(&gone).await.unwrap();
    world.emulator().deny("sns:Publish");
    let denied = Remote { route: world.route(), peer: Some(worker(None)) };
    let error = tokio::time::timeout(PATIENCE, world.backend.close(&denied)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    world.emulator().allow("sns:Publish");
    eventually(|| world.calls("SendMessageBatch") > 0).await;
    world.stop().await;
}
