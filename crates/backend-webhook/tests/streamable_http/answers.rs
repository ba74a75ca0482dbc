//! Requests, and the forms that their answers come in.

use std::sync::atomic::Ordering;

use proxy_core::{
    backend::{Disposition, Outbound},
    config::Secret,
    id::WireId,
};

use crate::harness::{INITIALIZED, LOG, SESSION, World, answer, outbound, peer, text};

fn initialize(wire: &WireId) -> Outbound {
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":"{wire}","method":"initialize","params":{{"protocolVersion":"2025-11-25"}}}}"#
    );
    let mut outbound = outbound(wire.route(), 0, &text);
    outbound.remote.peer = None;
    outbound.context.version = None;
    outbound
}

#[tokio::test]
async fn initialize_goes_without_a_session_and_learns_the_servers() {
    let mut world = World::start().await;
    let wire = WireId::new(world.route(), 0);
    let sending = world.send(initialize(&wire));
    let got = world.server.got().await;
    assert_eq!(got.header("accept"), Some("application/json, text/event-stream"));
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert!(got.header("user-agent").unwrap().starts_with("mcp-async-transport-proxy/"));
    let client_id = format!("search.{}", wire.route().as_str());
    assert_eq!(got.header("x-client-id"), Some(client_id.as_str()));
    for absent in ["mcp-session-id", "mcp-protocol-version"] {
        assert_eq!(got.header(absent), None, "{absent}");
    }
    // a worker of ours knows a proxy by it (docs/WIRE.md); any other server ignores it
    let context: serde_json::Value = serde_json::from_str(got.header("x-proxy-context").unwrap()).unwrap();
    let keys: Vec<&str> = context.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((keys.as_slice(), &context["v"]), (&["deadline", "v"][..], &serde_json::json!(1)));
    assert!(!got.body.contains("webhookUrl"), "{}", got.body);
    let events = got.stream();
    events.message(&answer(&wire)).await;
    drop(events);
    let sent = sending.outcome().await.unwrap();
    assert_eq!(sent.session, peer(SESSION).session);
    let inbound = world.delivered().await;
    assert_eq!(inbound.peer, Some(peer(SESSION)));
    assert_eq!(text(inbound, wire.route()), answer(&wire));
}

/// 2025-11-25, basic/transports, session management: visible ASCII characters only.
#[tokio::test]
async fn a_session_id_that_cannot_be_named_fails_initialize() {
    let mut world = World::start().await;
    for bad in [" ", "a b", "\u{e9}", &"x".repeat(1_025)] {
        let wire = WireId::new(world.route(), 0);
        let sending = world.send(initialize(&wire));
        let response = axum::http::Response::builder().header("content-type", "application/json");
        let response = response.header("mcp-session-id", bad).body(answer(&wire).into()).unwrap();
        world.server.got().await.respond(response);
        assert_eq!(sending.outcome().await.unwrap().session, None);
        assert_eq!(world.failure(&wire).await.kind(), proxy_core::error::ErrorKind::Protocol, "{bad}");
    }
}

#[tokio::test]
async fn later_messages_name_session_version_and_the_operators_headers() {
    let mut world =
        World::with(|config| drop(config.headers.insert("x-team".to_owned(), Secret::new("search")))).await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 3).await;
    assert_eq!(got.header("mcp-session-id"), Some(SESSION));
    assert_eq!(got.header("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!(got.header("x-team"), Some("search"));
    got.json(&answer(&wire));
    assert_eq!(sending.outcome().await.unwrap().session, None);
    let inbound = world.delivered().await;
    assert_eq!((inbound.peer.as_ref(), inbound.related.as_ref()), (None, None));
    assert_eq!(text(inbound, &route), answer(&wire));
}

#[tokio::test]
async fn a_stream_carries_what_belongs_to_its_request_and_then_the_answer() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 3).await;
    let events = got.stream();
    let progress = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"{wire}","progress":1}}}}"#
    );
    let asked = r#"{"jsonrpc":"2.0","id":0,"method":"sampling/createMessage","params":{}}"#;
    for message in [LOG, &progress, asked] {
        events.message(message).await;
    }
    sending.outcome().await.unwrap();
    for (expected, related) in [(LOG, true), (&progress, false), (asked, true)] {
        let inbound = world.delivered().await;
        assert_eq!(inbound.related, related.then(|| wire.clone()), "{expected}");
        assert_eq!(text(inbound, &route), expected);
    }
    events.message(&answer(&wire)).await;
    assert_eq!(world.message(&route).await, answer(&wire));
    drop(events);
}

#[tokio::test]
async fn a_connection_is_used_again_once_its_response_has_ended() {
    let mut world = World::start().await;
    let route = world.route();
    for number in 0..5 {
        let (wire, sending, got) = world.call(&route, number).await;
        if number % 2 == 0 {
            got.json(&answer(&wire));
        } else {
            got.stream().message(&answer(&wire)).await;
        }
        sending.outcome().await.unwrap();
        world.message(&route).await;
        let told = world.send(outbound(&route, 9, INITIALIZED.replace("initialized", "x").as_str()));
        world.server.got().await.status(202);
        told.outcome().await.unwrap();
    }
    // at most one more: the end of a response may be seen after the next request
    assert!(world.server.connections.load(Ordering::Relaxed) <= 2);
}

#[tokio::test]
async fn send_returns_while_a_server_that_answers_in_json_still_works() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    sending.outcome().await.unwrap();
    assert!(world.nothing_delivered());
    got.json(&answer(&wire));
    assert_eq!(world.message(&route).await, answer(&wire));
}

#[tokio::test]
async fn a_failure_after_send_has_returned_ends_the_exchange() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    sending.outcome().await.unwrap();
    got.answer(401, "text/plain", "");
    assert_eq!(world.failure(&wire).await.kind().as_str(), "denied");
    let (_, sending, got) = world.call(&route, 2).await;
    sending.outcome().await.unwrap();
    got.answer(404, "text/plain", "");
    world.gone(&route).await;
}

#[tokio::test]
async fn a_batch_of_answers_is_taken_apart() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.json(&format!("[{LOG},{}]", answer(&wire)));
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, LOG);
    assert_eq!(world.message(&route).await, answer(&wire));
}

#[tokio::test]
async fn an_error_without_our_id_answers_the_request_on_whose_response_it_came() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.json(r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"no","data":1.0}}"#);
    sending.outcome().await.unwrap();
    let expected =
        format!(r#"{{"jsonrpc":"2.0","id":"{wire}","error":{{"code":-32600,"message":"no","data":1.0}}}}"#);
    assert_eq!(world.message(&route).await, expected);
}

#[tokio::test]
async fn while_there_is_no_memory_the_stream_waits_and_the_message_comes_again() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    world.inbox.settle_next(Disposition::Busy);
    world.inbox.settle_next(Disposition::Busy);
    let events = got.stream();
    events.message(LOG).await;
    events.message(&answer(&wire)).await;
    sending.outcome().await.unwrap();
    for _ in 0..3 {
        let inbound = world.delivered().await;
        assert_eq!(inbound.related.as_ref(), Some(&wire));
        assert_eq!(text(inbound, &route), LOG);
    }
    assert_eq!(world.message(&route).await, answer(&wire));
    assert!(world.metrics().contains(r#"disposition="busy"} 2"#), "{}", world.metrics());
}

#[tokio::test]
async fn what_is_not_routable_is_dropped_and_counted() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    world.inbox.settle_next(Disposition::Unroutable);
    let events = got.stream();
    events.message(LOG).await;
    events.message(&answer(&wire)).await;
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, LOG);
    assert_eq!(world.message(&route).await, answer(&wire));
    assert!(world.metrics().contains(r#"disposition="unroutable"} 1"#), "{}", world.metrics());
}

#[tokio::test]
async fn answers_of_parallel_calls_do_not_wait_for_each_other() {
    let mut world = World::start().await;
    let route = world.route();
    let mut calls = Vec::new();
    for number in 0..20 {
        calls.push(world.call(&route, number).await);
    }
    for (wire, sending, got) in calls.into_iter().rev() {
        got.json(&answer(&wire));
        sending.outcome().await.unwrap();
        assert_eq!(world.message(&route).await, answer(&wire));
    }
}
