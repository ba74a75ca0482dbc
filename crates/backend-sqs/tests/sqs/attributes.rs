//! What a message looks like on the wire.

use std::sync::Arc;

use proxy_core::{
    ProtocolVersion,
    backend::{Backend, Peer},
};
use serde_json::{Value, json};

use crate::harness::{REQUESTS, Setup, World, call, emulator, outbound, take};

#[tokio::test]
async fn initialize_names_the_reply_queue_in_both_spellings_and_in_the_context() {
    let mut world = World::start().await;
    let route = world.route();
    let initialize =
        r#"{"jsonrpc":"2.0","id":"1","method":"initialize","params":{"_meta":{"a":1},"x":[1.0]}}"#;
    world.backend.send(outbound(&route, initialize)).await.unwrap();
    let taken = take(&world.far, &world.emulator.queue_url(REQUESTS), 1).await;
    let body: Value = serde_json::from_str(taken[0].body().unwrap()).unwrap();
    let url = world.backend.reply_queue_url().unwrap();
    assert_eq!(
        body["params"],
        json!({"response_queue_url": url, "_meta": {"responseQueueUrl": url, "a": 1}, "x": [1.0]})
    );
    let attributes = taken[0].message_attributes().unwrap();
    let text = |name: &str| attributes[name].string_value().unwrap();
    assert_eq!(text("SessionId"), route.as_str());
    assert_eq!(text("ClientId"), format!("mcp-proxy-{}", world.instance.as_str()));
    assert_eq!((text("MessageType"), text("Method"), text("RequestId")), ("jsonrpc", "initialize", "1"));
    assert_eq!(attributes["Timestamp"].data_type(), "Number");
    let context: Value = serde_json::from_str(text("ProxyContext")).unwrap();
    assert_eq!((&context["v"], &context["reply"]), (&json!(1), &json!({ "sqs": url })));
    world.stop().await;
}

#[tokio::test]
async fn the_fullest_message_is_taken_and_hostile_values_are_left_out() {
    let setup = Setup {
        change: |config| {
            config.message_attributes = [("team".to_owned(), "search".to_owned())].into();
            config.client_id = Some("desk-7".to_owned());
        },
        ..Setup::default()
    };
    let mut world = World::with(emulator().await, setup).await;
    let mut full = outbound(&world.route(), &call(1));
    full.context.version = Some(ProtocolVersion::LATEST);
    full.remote.peer = Some(Arc::new(Peer { eras: vec!["legacy".into()], ..Peer::default() }));
    world.backend.send(full).await.unwrap();
    let hostile =
        "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"a\\u0007\",\"params\":{\"t\":\"\u{FFFE}\"}}";
    world.backend.send(outbound(&world.route(), hostile)).await.unwrap();
    let taken = take(&world.far, &world.emulator.queue_url(REQUESTS), 2).await;
    let full = taken[0].message_attributes().unwrap();
    assert_eq!(full.len(), 9, "and one is kept free for the claim check");
    assert_eq!(
        (full["team"].string_value(), full["ClientId"].string_value()),
        (Some("search"), Some("desk-7"))
    );
    assert!(!taken[1].message_attributes().unwrap().contains_key("Method"));
    assert!(taken[1].body().unwrap().contains(r#""t":"\uFFFE""#));
    world.stop().await;
}
