//! Sessions: items 14, 17 to 20 and 23.

use std::{collections::HashSet, time::Duration};

use axum::{body::Body, http::Method};
use proxy_core::config::Secret;
use serde_json::{Value, json};

use crate::{
    harness::{Harness, call, initialize, initialized, notification, post, post_with},
    http::{Background, request},
};

#[tokio::test]
async fn item_14_initialize_answers_with_an_unguessable_session_id() {
    let mut harness = Harness::start(|_| {}).await;
    let mut seen = HashSet::new();
    for _ in 0..8 {
        let id = harness.open("2025-11-25").await.session;
        assert!(id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}");
        // At six bits a character at most, 128 bits need 22 characters.
        assert!(id.len() >= 22, "{id}");
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn item_14_a_failed_initialize_leaves_no_session() {
    let mut harness = Harness::start(|_| {}).await;
    let http = harness.http.clone();
    let reply = Background::run(async move { post(&http, &initialize("2025-11-25", &json!({}))).await });
    let request = harness.far.expect("initialize").await;
    harness.far.fail(&request, -32602, "no");
    let reply = reply.join().await;
    assert_eq!((reply.status.as_u16(), reply.header("mcp-session-id")), (200, None));
    assert_eq!(reply.json().await["error"]["code"], -32602);
    assert_eq!(harness.proxy.active_sessions(), 0);
}

#[tokio::test]
async fn item_17_a_request_without_a_session_is_refused() {
    let mut harness = Harness::start(|_| {}).await;
    let refused = post(&harness.http, &call(5)).await.refused(400, -32000).await;
    assert_eq!(refused["id"], 5);
    post(&harness.http, &notification("notifications/initialized")).await.refused(400, -32000).await;
    post(&harness.http, &json!([call(1)])).await.refused(400, -32000).await;
    for method in [Method::GET, Method::DELETE] {
        let reply = harness.http.send(request(method).body(Body::empty()).unwrap()).await;
        reply.refused(400, -32000).await;
    }
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn item_18_an_unknown_session_is_not_found() {
    let mut harness = Harness::start(|_| {}).await;
    let mut client = harness.open("2025-11-25").await;
    for unknown in ["A".repeat(43), "not a session".to_owned(), "x".repeat(5000)] {
        client.session = unknown;
        assert_eq!(client.post(&call("a")).await.refused(404, -32001).await["id"], "a");
        client.get().await.refused(404, -32001).await;
        client.resume("1-0").await.refused(404, -32001).await;
        client.delete().await.refused(404, -32001).await;
        let again = initialize("2025-11-25", &json!({}));
        client.post(&again).await.refused(404, -32001).await;
    }
    assert!(harness.far.has_nothing());
}

#[tokio::test(start_paused = true)]
async fn item_18_an_idle_session_expires_and_one_with_a_stream_does_not() {
    let mut harness = Harness::start(|setup| {
        setup.in_memory();
        setup.session.session_timeout = Duration::from_mins(1);
    })
    .await;
    let idle = harness.open("2025-11-25").await;
    let listening = harness.open("2025-11-25").await;
    let _stream = listening.get().await.events();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    idle.post(&ping).await.refused(404, -32001).await;
    assert_eq!(listening.post(&ping).await.status, 200);
}

#[tokio::test]
async fn item_19_a_session_is_its_principals_alone() {
    let mut harness = Harness::start(|setup| {
        setup.security.auth_tokens = [("alice", "a-token"), ("bob", "b-token")]
            .map(|(name, token)| frontend_http::AuthToken::new(name, Secret::new(token)))
            .to_vec();
    })
    .await;
    let alice = harness.open_as("2025-11-25", &[("authorization", "Bearer a-token")]).await;
    let mut thief = harness.open_as("2025-11-25", &[("authorization", "Bearer b-token")]).await;
    thief.session.clone_from(&alice.session);
    thief.post(&call(1)).await.refused(404, -32001).await;
    thief.get().await.refused(404, -32001).await;
    thief.resume("1-0").await.refused(404, -32001).await;
    thief.delete().await.refused(404, -32001).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(alice.post(&ping).await.status, 200);
}

#[tokio::test]
async fn item_20_a_deleted_session_is_gone() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-03-26").await;
    assert!(client.delete().await.status.is_success());
    client.post(&call(1)).await.refused(404, -32001).await;
    client.get().await.refused(404, -32001).await;
    client.delete().await.refused(404, -32001).await;
}

#[tokio::test]
async fn item_20_deleting_a_session_ends_its_streams() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    let mut standalone = client.get().await.events();
    assert!(client.delete().await.status.is_success());
    assert_eq!(standalone.message().await, None);
}

#[tokio::test]
async fn item_23_a_live_session_is_not_initialized_again() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-11-25").await;
    let refused = client.post(&initialize("2025-11-25", &json!({}))).await.refused(400, -32600).await;
    assert_eq!(refused["id"], "init");
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn only_the_header_names_a_session() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-11-25").await;
    let cookie = format!("mcp-session-id={}", client.session);
    for (name, value) in [("x-session-id", client.session.clone()), ("cookie", cookie)] {
        let reply = post_with(harness.http.clone(), vec![(name, value)], call(1)).await;
        reply.refused(400, -32000).await;
    }
    let twice = client.request(Method::POST).header("mcp-session-id", &client.session);
    let twice = twice.body(Body::from(call(1).to_string())).unwrap();
    harness.http.send(twice).await.refused(400, -32000).await;
}

#[tokio::test]
async fn an_initialize_that_streams_names_its_session_at_once() {
    let mut harness = Harness::start(super::harness::Setup::streaming).await;
    let http = harness.http.clone();
    let reply = Background::run(async move { post(&http, &initialize("2025-11-25", &json!({}))).await });
    let request = harness.far.expect("initialize").await;
    let reply = reply.join().await;
    assert!(reply.header("mcp-session-id").is_some());
    let mut events = reply.events();
    // The version that it asks for has priming events.
    assert_eq!(events.event().await.unwrap().data.as_deref(), Some(""));
    harness.far.answer(&request, &initialized("2025-11-25"));
    let (_, answer) = events.message().await.unwrap();
    assert_eq!(answer["id"], Value::from("init"));
}
