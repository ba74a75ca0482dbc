//! What a message looks like on the wire, both ways.

use std::sync::Arc;

use proxy_core::{
    ProtocolVersion,
    backend::{Backend, Disposition, Event, Peer, Settlement},
};
use serde_json::{Value, json};

use crate::harness::{RESPONSES, Topics, World, answer, call, eventually, outbound};

#[tokio::test]
async fn initialize_names_the_response_topic_in_both_spellings_and_in_the_context() {
    let mut world = World::start().await;
    let route = world.route();
    let initialize =
        r#"{"jsonrpc":"2.0","id":"1","method":"initialize","params":{"_meta":{"a":1},"x":[1.0]}}"#;
    world.backend.send(outbound(&route, initialize)).await.unwrap();
    let taken = world.topics.take(1).await;
    let body: Value = serde_json::from_str(taken[0].body().unwrap()).unwrap();
    let arn = &world.topics.responses;
    assert_eq!(
        body["params"],
        json!({"client_topic_arn": arn, "_meta": {"clientTopicArn": arn, "a": 1}, "x": [1.0]})
    );
    let attributes = taken[0].message_attributes().unwrap();
    let text = |name: &str| attributes[name].string_value().unwrap();
    assert_eq!(text("SessionId"), route.as_str());
    assert_eq!(text("ClientId"), format!("mcp-proxy-{}", world.instance.as_str()));
    assert_eq!((text("MessageType"), text("Method"), text("RequestId")), ("jsonrpc", "initialize", "1"));
    assert_eq!(attributes["Timestamp"].data_type(), "Number");
    let context: Value = serde_json::from_str(text("ProxyContext")).unwrap();
    assert_eq!((&context["v"], &context["reply"]), (&json!(1), &json!({ "sns": arn })));
    world.stop().await;
}

#[tokio::test]
async fn the_fullest_message_comes_through_a_raw_subscription() {
    let topics = Topics::start().await;
    let mut config = topics.config();
    config.message_attributes = [("team".to_owned(), "search".to_owned())].into();
    let mut world = World::with(topics, config).await;
    let mut full = outbound(&world.route(), &call(1));
    full.context.version = Some(ProtocolVersion::LATEST);
    full.remote.peer = Some(Arc::new(Peer { eras: vec!["legacy".into()], ..Peer::default() }));
    world.backend.send(full).await.unwrap();
    let taken = world.topics.take(1).await;
    let attributes = taken[0].message_attributes().unwrap();
    assert_eq!(attributes.len(), 9, "SNS drops one with more than ten, and one is kept for the claim check");
    assert_eq!(attributes["team"].string_value(), Some("search"));
    world.stop().await;
}

#[tokio::test]
async fn what_does_not_parse_is_deleted_and_stops_nothing() {
    let topics = Topics::start().await;
    let config = topics.config_with_queue();
    let mut world = World::with(topics, config).await;
    let bad = ["x", "{}", "[]", r#"{"Type":"Notification","Message":"x"}"#, r#"{"Type":"Notification"}"#];
    for body in bad {
        world.topics.publish(world.route().as_str(), body).await;
    }
    world.topics.publish(world.route().as_str(), &answer(1)).await;
    world.delivered().await;
    let malformed = r#"mcp_proxy_backend_malformed_messages_total{backend="snssqs"}"#;
    eventually(|| world.count(malformed) == 5).await;
    eventually(|| {
        world.emulator().depth(RESPONSES).is_some_and(|depth| depth.visible + depth.in_flight == 0)
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn what_there_is_no_memory_for_comes_again() {
    let mut world = World::start().await;
    world.ready().await;
    world.inbox.settle_next(Settlement::Now(Disposition::Busy));
    world.topics.publish(world.route().as_str(), &answer(1)).await;
    let first = world.delivered().await;
    let again = world.delivered().await;
    assert_eq!(first.message_id, again.message_id);
    assert!(matches!(again.event, Event::Message(message) if message.as_str() == answer(1)));
    world.stop().await;
}
