//! The standalone stream of a session.

use std::time::Duration;

use axum::http::Method;
use proxy_core::backend::Backend as _;
use tokio::time::Instant;

use crate::{
    harness::{INITIALIZED, LOG, SESSION, World, answer, outbound, text},
    server::Server,
};

#[tokio::test]
async fn it_is_opened_once_initialized_was_accepted() {
    let mut world = World::start().await;
    let route = world.route();
    let sending = world.send(outbound(&route, 1, INITIALIZED));
    let got = world.server.got().await;
    assert_eq!(got.method, Method::POST);
    assert!(!world.server.has_more(), "not before it was accepted");
    got.status(202);
    sending.outcome().await.unwrap();
    let got = world.server.got().await;
    assert_eq!((&got.method, got.header("accept")), (&Method::GET, Some("text/event-stream")));
    assert_eq!(got.header("mcp-session-id"), Some(SESSION));
    assert_eq!(got.header("last-event-id"), None);
    let events = got.stream();
    events.message(LOG).await;
    let inbound = world.delivered().await;
    assert_eq!(inbound.related, None);
    assert_eq!(text(inbound, &route), LOG);
}

#[tokio::test]
async fn it_is_not_opened_without_a_session_or_after_a_refusal() {
    let mut world = World::start().await;
    let mut stateless = outbound(&world.route(), 1, INITIALIZED);
    stateless.remote.peer = None;
    let sending = world.send(stateless);
    world.server.got().await.status(202);
    sending.outcome().await.unwrap();
    let sending = world.send(outbound(&world.route(), 1, INITIALIZED));
    world.server.got().await.status(500);
    sending.outcome().await.unwrap_err();
    let (_, sending, got) = world.call(&world.route(), 1).await;
    assert_eq!(got.method, Method::POST, "nothing came between");
    drop(sending);
}

#[tokio::test]
async fn a_server_without_one_is_not_asked_again() {
    let mut world = World::start().await;
    let route = world.route();
    world.listening(&route).await.status(405);
    let (_, sending, got) = world.call(&route, 1).await;
    assert_eq!(got.method, Method::POST);
    drop(sending);
    assert!(world.nothing_delivered());
}

/// Express, for one, says so where only POST has a handler; the official clients go on without the stream.
#[tokio::test]
async fn a_server_that_knows_only_post_has_none_and_keeps_its_session() {
    for (status, body) in [(404, "Cannot GET /mcp"), (400, "Bad Request"), (501, "")] {
        let mut world = World::start().await;
        let route = world.route();
        world.listening(&route).await.answer(status, "text/html", body);
        let (wire, sending, got) = world.call(&route, 2).await;
        assert_eq!(got.method, Method::POST, "{status}");
        got.json(&answer(&wire));
        sending.outcome().await.unwrap();
        assert_eq!(world.message(&route).await, answer(&wire), "{status}");
    }
}

#[tokio::test]
async fn a_server_that_ends_it_at_once_is_asked_ever_more_rarely() {
    let mut world = World::start().await;
    let route = world.route();
    drop(world.listening(&route).await.stream());
    let mut before = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..4 {
        drop(world.server.got().await.stream());
        pauses.push(before.elapsed());
        before = Instant::now();
    }
    assert!(pauses[3] > Duration::from_millis(900), "{pauses:?}");
}

#[tokio::test]
async fn an_event_that_the_server_has_forgotten_is_not_asked_for_again() {
    let mut world = World::start().await;
    let route = world.route();
    let events = world.listening(&route).await.stream();
    events.raw("retry: 50\n\n").await;
    events.numbered("7", LOG).await;
    world.message(&route).await;
    events.breaks().await;
    let got = world.server.got().await;
    assert_eq!(got.header("last-event-id"), Some("7"));
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Invalid event ID"}}"#;
    got.answer(400, "application/json", error);
    let got = world.server.got().await;
    assert_eq!(got.header("last-event-id"), None);
    got.stream().message(LOG).await;
    assert_eq!(world.message(&route).await, LOG);
}

#[tokio::test]
async fn it_is_opened_again_when_it_breaks_and_when_another_was_there() {
    let mut world = World::start().await;
    let route = world.route();
    let events = world.listening(&route).await.stream();
    events.raw("retry: 50\n\n").await;
    events.numbered("7", LOG).await;
    world.message(&route).await;
    events.breaks().await;
    let got = world.server.got().await;
    assert_eq!(got.header("last-event-id"), Some("7"));
    got.status(409);
    let got = world.server.got().await;
    assert_eq!(got.header("last-event-id"), Some("7"));
    drop(got.stream());
    let events = world.server.got().await.stream();
    events.message(LOG).await;
    assert_eq!(world.message(&route).await, LOG);
    assert!(world.metrics().contains("receive_errors_total"), "{}", world.metrics());
}

#[tokio::test]
async fn a_server_that_was_restarted_ends_the_session_at_once() {
    for status in [404, 400] {
        let mut world = World::start().await;
        let route = world.route();
        let events = world.listening(&route).await.stream();
        events.raw("retry: 50\n\n").await;
        events.message(LOG).await;
        world.message(&route).await;
        events.breaks().await;
        let answer = "Bad Request: No valid session ID provided";
        world.server.got().await.answer(status, "text/plain", answer);
        world.gone(&route).await;
        assert!(!world.server.has_more());
    }
}

#[tokio::test]
async fn readiness_is_asked_without_a_request() {
    let mut world = World::on(Server::start().await, |_| {}, true).await;
    world.backend.check().await.unwrap();
    assert!(!world.server.has_more());
}
