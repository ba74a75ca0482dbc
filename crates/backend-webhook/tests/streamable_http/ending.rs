//! Cancellation, the end of a session, the end of the backend.

use std::sync::Arc;

use axum::http::Method;
use proxy_core::{
    backend::{Backend as _, Remote},
    id::{RouteKey, WireId},
};

use crate::harness::{LOG, SESSION, World, answer, in_time, outbound, peer};

fn cancellation(wire: &WireId) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":"{wire}"}}}}"#)
}

fn remote(route: &RouteKey) -> Remote {
    Remote { route: route.clone(), peer: Some(Arc::new(peer(SESSION))) }
}

#[tokio::test]
async fn a_cancelled_requests_stream_is_closed_once_the_server_knows() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    sending.outcome().await.unwrap();
    let mut cancelled = outbound(&route, 2, &cancellation(&wire));
    cancelled.about = Some(wire.clone());
    let telling = world.send(cancelled);
    let got = world.server.got().await;
    events.message(LOG).await;
    world.message(&route).await;
    got.status(202);
    telling.outcome().await.unwrap();
    events.closed().await;
    assert!(world.nothing_delivered(), "a cancelled exchange has not failed");
}

#[tokio::test]
async fn a_cancellation_overtakes_the_answer_of_a_server_that_answers_in_json() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, held) = world.call(&route, 1).await;
    sending.outcome().await.unwrap();
    let mut cancelled = outbound(&route, 2, &cancellation(&wire));
    cancelled.about = Some(wire.clone());
    let telling = world.send(cancelled);
    world.server.got().await.status(202);
    telling.outcome().await.unwrap();
    drop(held);
    assert!(world.nothing_delivered());
}

#[tokio::test]
async fn a_cancelled_requests_stream_is_closed_though_the_server_refuses_to_know() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    sending.outcome().await.unwrap();
    let mut cancelled = outbound(&route, 2, &cancellation(&wire));
    cancelled.about = Some(wire.clone());
    let telling = world.send(cancelled);
    world.server.got().await.status(500);
    telling.outcome().await.unwrap_err();
    events.closed().await;
}

#[tokio::test]
async fn closing_ends_the_session_and_all_of_its_streams() {
    let mut world = World::start().await;
    let (route, other) = (world.route(), world.route());
    let standalone = world.listening(&route).await.stream();
    standalone.message(LOG).await;
    world.message(&route).await;
    let (_, sending, got) = world.call(&route, 2).await;
    let events = got.stream();
    sending.outcome().await.unwrap();
    let (wire, sending, got) = world.call(&other, 1).await;
    let others = got.stream();
    sending.outcome().await.unwrap();
    let backend = Arc::clone(&world.backend);
    let remote = remote(&route);
    let (closed, ()) = in_time(async {
        tokio::join!(backend.close(&remote), async {
            let got = world.server.got().await;
            assert_eq!((&got.method, got.header("mcp-session-id")), (&Method::DELETE, Some(SESSION)));
            got.status(200);
        })
    })
    .await;
    closed.unwrap();
    standalone.closed().await;
    events.closed().await;
    others.message(&answer(&wire)).await;
    assert_eq!(world.message(&other).await, answer(&wire));
}

#[tokio::test]
async fn a_server_need_not_take_note_of_a_sessions_end() {
    let mut world = World::start().await;
    for (status, is_fine) in [(405, true), (404, true), (400, true), (500, false)] {
        let backend = Arc::clone(&world.backend);
        let remote = remote(&world.route());
        let (closed, ()) = tokio::join!(backend.close(&remote), async {
            world.server.got().await.status(status);
        });
        assert_eq!(closed.is_ok(), is_fine, "{status}");
    }
    let nameless = Remote { route: world.route(), peer: None };
    world.backend.close(&nameless).await.unwrap();
    assert!(!world.server.has_more());
}

#[tokio::test]
async fn shutdown_waits_for_no_refusal_that_does_not_end() {
    let mut world = World::start().await;
    let route = world.route();
    let got = world.listening(&route).await;
    let (_unended, receiver) = tokio::sync::mpsc::channel::<Result<axum::body::Bytes, std::io::Error>>(1);
    let body = futures_util::stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    got.respond(crate::server::head(503, "text/plain").body(axum::body::Body::from_stream(body)).unwrap());
    // the head is there once another request has gone the same way
    let (wire, sending, got) = world.call(&route, 2).await;
    got.json(&answer(&wire));
    sending.outcome().await.unwrap();
    let begin = tokio::time::Instant::now();
    world.shutdown.cancel();
    world.stopped().await;
    assert!(begin.elapsed() < std::time::Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn shutdown_ends_every_stream() {
    let mut world = World::start().await;
    let route = world.route();
    let standalone = world.listening(&route).await.stream();
    standalone.message(LOG).await;
    world.message(&route).await;
    let (_, sending, got) = world.call(&route, 2).await;
    let events = got.stream();
    sending.outcome().await.unwrap();
    world.shutdown.cancel();
    world.stopped().await;
    standalone.closed().await;
    events.closed().await;
}
