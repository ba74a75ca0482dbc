//! Responses that break before their answer and go on by GET.

use axum::http::Method;
use proxy_core::error::ErrorKind;

use crate::harness::{LOG, SESSION, World, answer};

#[tokio::test]
async fn a_broken_response_with_event_ids_goes_on_after_the_last_one() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    events.raw("id: 1\nretry: 60\ndata: \n\n").await;
    events.numbered("2", LOG).await;
    sending.outcome().await.unwrap();
    world.message(&route).await;
    events.breaks().await;
    let got = world.server.got().await;
    assert_eq!(got.method, Method::GET);
    assert_eq!(got.header("last-event-id"), Some("2"));
    assert_eq!(got.header("mcp-session-id"), Some(SESSION));
    assert_eq!(got.header("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!(got.header("accept"), Some("text/event-stream"));
    let events = got.stream();
    events.numbered("3", LOG).await;
    let inbound = world.delivered().await;
    assert_eq!(inbound.related, Some(wire.clone()), "it is still the stream of that request");
    // polling: the server closes again, well this time
    drop(events);
    let got = world.server.got().await;
    assert_eq!(got.header("last-event-id"), Some("3"));
    let events = got.stream();
    events.numbered("4", &answer(&wire)).await;
    assert_eq!(world.message(&route).await, answer(&wire));
    drop(events);
}

#[tokio::test]
async fn a_priming_event_is_enough_to_go_on_after() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.answer(200, "text/event-stream", "id: s/0\nretry: 50\ndata:\n\n");
    sending.outcome().await.unwrap();
    let got = world.server.got().await;
    assert_eq!(got.header("last-event-id"), Some("s/0"));
    got.stream().numbered("s/1", &answer(&wire)).await;
    assert_eq!(world.message(&route).await, answer(&wire));
}

#[tokio::test]
async fn going_on_is_tried_until_it_works() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.answer(200, "text/event-stream", "id: 1\nretry: 50\ndata:\n\n");
    sending.outcome().await.unwrap();
    world.server.got().await.status(503);
    world.server.got().await.stream().numbered("2", &answer(&wire)).await;
    assert_eq!(world.message(&route).await, answer(&wire));
}

#[tokio::test]
async fn what_cannot_go_on_ends_the_exchange_and_a_lost_session_all_of_them() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.answer(200, "text/event-stream", "id: 1\nretry: 50\ndata:\n\n");
    sending.outcome().await.unwrap();
    world.server.got().await.status(405);
    assert_eq!(world.failure(&wire).await.kind(), ErrorKind::Unavailable);
    let (_, sending, got) = world.call(&route, 2).await;
    got.answer(200, "text/event-stream", "id: 1\nretry: 50\ndata:\n\n");
    sending.outcome().await.unwrap();
    world.server.got().await.answer(400, "text/plain", "Bad Request: No valid session ID provided");
    world.gone(&route).await;
}

#[tokio::test]
async fn an_event_id_may_be_any_text() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.answer(200, "text/event-stream", "id: é/1\nretry: 50\ndata:\n\n");
    sending.outcome().await.unwrap();
    let got = world.server.got().await;
    assert_eq!(got.headers["last-event-id"].as_bytes(), "é/1".as_bytes());
    got.stream().message(&answer(&wire)).await;
    assert_eq!(world.message(&route).await, answer(&wire));
}

/// A GET without an event id is for the standalone stream, whose messages are not this request's.
#[tokio::test]
async fn a_response_whose_place_cannot_be_named_does_not_go_on() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.answer(200, "text/event-stream", "id: a\u{1}b\nretry: 50\ndata:\n\n");
    sending.outcome().await.unwrap();
    assert_eq!(world.failure(&wire).await.kind(), ErrorKind::Unavailable);
    let (wire, sending, got) = world.call(&route, 2).await;
    got.answer(200, "text/event-stream", "id: 1\nretry: 50\ndata:\n\n");
    sending.outcome().await.unwrap();
    world.server.got().await.answer(200, "text/event-stream", "id\ndata:\n\n");
    assert_eq!(world.failure(&wire).await.kind(), ErrorKind::Unavailable);
    assert!(!world.server.has_more());
}

#[tokio::test]
async fn without_event_ids_the_exchange_ends_at_once() {
    let mut world = World::start().await;
    let route = world.route();
    for breaks in [true, false] {
        let (wire, sending, got) = world.call(&route, 1).await;
        let events = got.stream();
        events.message(LOG).await;
        sending.outcome().await.unwrap();
        world.message(&route).await;
        if breaks {
            events.breaks().await;
        } else {
            drop(events);
        }
        let error = world.failure(&wire).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("may have run"), "{error}");
    }
    assert!(!world.server.has_more(), "there is nothing to go on after");
}
