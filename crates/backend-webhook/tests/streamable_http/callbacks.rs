//! Answers by callback, beside the response to their request.

use proxy_core::{
    backend::{Backend as _, Disposition},
    error::ErrorKind,
    id::WireId,
};

use crate::harness::{LOG, SESSION, World, answer, outbound, peer, text};

#[tokio::test]
async fn initialize_says_where_to_call_back_to() {
    let mut world = World::with_callbacks().await;
    let wire = WireId::new(world.route(), 0);
    let initialize = format!(
        r#"{{"jsonrpc":"2.0","id":"{wire}","method":"initialize","params":{{"protocolVersion":"2025-11-25","_meta":{{"a":1}}}}}}"#
    );
    let sending = world.send(outbound(wire.route(), 0, &initialize));
    let got = world.server.got().await;
    let body: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    let url = world.backend.callback_url(wire.route()).unwrap();
    assert_eq!(body["params"]["_meta"], serde_json::json!({ "a": 1, "webhookUrl": url }));
    let context: serde_json::Value = serde_json::from_str(got.header("x-proxy-context").unwrap()).unwrap();
    assert_eq!(context["reply"]["url"], url.as_str());
    got.json(&answer(&wire));
    sending.outcome().await.unwrap();
    let (_, sending, got) = world.call(wire.route(), 1).await;
    assert_eq!(got.header("x-proxy-context"), None, "asyncmcp did not announce itself");
    got.status(202);
    sending.outcome().await.unwrap();
}

#[tokio::test]
async fn an_answer_by_callback_closes_the_silent_stream() {
    let mut world = World::with_callbacks().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    events.raw(": ping\n\n").await;
    sending.outcome().await.unwrap();
    assert_eq!(world.call_back(&route, SESSION, &answer(&wire)).await, 202);
    let inbound = world.delivered().await;
    assert_eq!(inbound.peer, Some(peer(SESSION)), "the core compares the session");
    assert_eq!(text(inbound, &route), answer(&wire));
    events.closed().await;
    assert!(world.nothing_delivered());
}

#[tokio::test]
async fn an_answer_by_callback_ends_the_wait_for_a_head() {
    let mut world = World::with_callbacks().await;
    let route = world.route();
    let (wire, sending, _got) = world.call(&route, 1).await;
    assert_eq!(world.call_back(&route, SESSION, &answer(&wire)).await, 202);
    assert_eq!(world.message(&route).await, answer(&wire));
    sending.outcome().await.unwrap();
}

#[tokio::test]
async fn a_callback_that_the_session_does_not_take_closes_nothing() {
    let mut world = World::with_callbacks().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    sending.outcome().await.unwrap();
    world.inbox.settle_next(Disposition::Unroutable);
    assert_eq!(world.call_back(&route, "another", &answer(&wire)).await, 404);
    world.message(&route).await;
    events.message(&answer(&wire)).await;
    assert_eq!(world.message(&route).await, answer(&wire));
}

#[tokio::test]
async fn an_answer_on_the_stream_makes_the_callback_a_duplicate() {
    let mut world = World::with_callbacks().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    events.message(&answer(&wire)).await;
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, answer(&wire));
    // the core knows that it came before
    world.inbox.settle_next(Disposition::Unroutable);
    assert_eq!(world.call_back(&route, SESSION, &answer(&wire)).await, 404);
}

#[tokio::test]
async fn an_answer_by_callback_does_not_overtake_what_its_stream_said() {
    let mut world = World::with_callbacks().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    events.message(LOG).await;
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, LOG);
    let answer = answer(&wire);
    let (status, ()) = tokio::join!(world.call_back(&route, SESSION, &answer), events.message(LOG));
    assert_eq!(status, 202);
    assert_eq!(world.message(&route).await, LOG);
    assert_eq!(world.message(&route).await, answer);
    events.closed().await;
}

#[tokio::test]
async fn a_broken_response_is_left_to_the_callback_only_once_there_was_one() {
    let mut world = World::with_callbacks().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    drop(got.stream());
    sending.outcome().await.unwrap();
    assert_eq!(world.failure(&wire).await.kind(), ErrorKind::Unavailable);
    let (wire, sending, got) = world.call(&route, 2).await;
    let events = got.stream();
    sending.outcome().await.unwrap();
    world.call_back(&route, SESSION, &answer(&wire)).await;
    world.message(&route).await;
    events.closed().await;
    let (wire, sending, got) = world.call(&route, 3).await;
    let events = got.stream();
    events.raw(": ping\n\n").await;
    sending.outcome().await.unwrap();
    events.breaks().await;
    assert_eq!(world.call_back(&route, SESSION, &answer(&wire)).await, 202);
    assert_eq!(world.message(&route).await, answer(&wire), "nothing came before it");
}

#[tokio::test]
async fn a_refusal_is_not_left_to_the_callback() {
    let mut world = World::with_callbacks().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let _events = got.stream();
    sending.outcome().await.unwrap();
    world.call_back(&route, SESSION, &answer(&wire)).await;
    world.message(&route).await;
    for status in [500, 502] {
        let (wire, sending, got) = world.call(&route, 2).await;
        got.answer(status, "text/plain", "Internal Server Error");
        sending.outcome().await.unwrap_err();
        assert_eq!(world.failure(&wire).await.kind(), ErrorKind::Unavailable, "{status}");
    }
}

#[tokio::test]
async fn a_request_that_is_only_taken_is_answered_by_callback() {
    let mut world = World::with_callbacks().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.status(202);
    sending.outcome().await.unwrap();
    assert_eq!(world.call_back(&route, SESSION, &answer(&wire)).await, 202);
    assert_eq!(world.message(&route).await, answer(&wire));
}

#[tokio::test]
async fn without_webhook_url_there_is_no_callback() {
    let world = World::start().await;
    assert_eq!(world.backend.callback_address(), None);
    assert!(world.backend.callback_routes().is_none());
    assert_eq!(world.backend.callback_url(&world.route()), None);
    world.backend.check().await.unwrap();
}
