//! What is too much.

use axum::{
    body::{Body, Bytes},
    http::Method,
};
use futures_util::stream;
use serde_json::{Value, json};

use crate::{
    harness::{Harness, Setup, call, initialize, notification, post, text},
    http::request,
};

fn small_bodies(setup: &mut Setup) {
    setup.security.max_body = 1024 * 1024;
}

#[tokio::test]
async fn a_body_over_the_limit_gets_413_that_names_the_limit() {
    let mut harness = Harness::start(small_bodies).await;
    let client = harness.open("2025-11-25").await;
    let large = vec![b' '; 3 * 1024 * 1024];
    let announced = Body::from(large.clone());
    let chunks =
        large.chunks(64 * 1024).map(|chunk| Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(chunk)));
    let streamed = Body::from_stream(stream::iter(chunks.collect::<Vec<_>>()));
    for body in [announced, streamed] {
        let reply = harness.http.send(client.request(Method::POST).body(body).unwrap()).await;
        let refused = reply.refused(413, -32000).await;
        assert!(refused["error"]["message"].as_str().unwrap().contains("1048576"), "{refused}");
        assert_eq!(refused["id"], Value::Null);
    }
}

#[tokio::test]
async fn a_refusal_is_read_though_the_client_is_still_writing() {
    let harness = Harness::start(|_| {}).await;
    for (content_type, status) in [("application/json", 400), ("text/plain", 415)] {
        let mut post = request(Method::POST);
        post.headers_mut().unwrap().insert("content-type", content_type.parse().unwrap());
        let reply = harness.http.send(post.body(Body::from(vec![b'x'; 3 * 1024 * 1024])).unwrap()).await;
        assert_eq!(reply.status, status);
    }
}

#[tokio::test]
async fn too_many_requests_of_a_session_get_429_and_when_to_come_back() {
    let mut harness = Harness::start(|setup| setup.session.max_exchanges = 2).await;
    let client = harness.open("2025-11-25").await;
    let (first, reply) = harness.call(&client, call(1)).await;
    let _second = harness.call(&client, call(2)).await;
    let refused = client.post(&call(3)).await;
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(refused.refused(429, -32000).await["id"], 3);
    harness.far.answer(&first, &text("done"));
    assert_eq!(reply.join().await.status, 200);
    let (third, reply) = harness.call(&client, call(3)).await;
    harness.far.answer(&third, &text("done"));
    assert_eq!(reply.join().await.status, 200);
}

#[tokio::test]
async fn too_many_sessions_get_503_and_when_to_come_back() {
    let mut harness = Harness::start(|setup| setup.session.max_sessions = 1).await;
    let client = harness.open("2025-11-25").await;
    let refused = post(&harness.http, &initialize("2025-11-25", &json!({}))).await;
    assert!(refused.header("retry-after").is_some());
    refused.refused(503, -32000).await;
    assert!(client.delete().await.status.is_success());
    harness.open("2025-11-25").await;
}

#[tokio::test]
async fn while_draining_new_requests_get_503_and_notifications_are_taken() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-11-25").await;
    let (request, reply) = harness.call(&client, call(1)).await;
    let proxy = std::sync::Arc::clone(&harness.proxy);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let drained = crate::http::Background::run(async move { proxy.drain(deadline).await });
    let mut standalone = client.get().await;
    while standalone.status == 200 {
        assert_eq!(standalone.events().message().await, None, "standalone streams end");
        standalone = client.get().await;
    }
    assert_eq!(standalone.status, 503);
    let refused = client.post(&call(2)).await;
    assert!(refused.header("retry-after").is_some());
    refused.refused(503, -32000).await;
    post(&harness.http, &initialize("2025-11-25", &json!({}))).await.refused(503, -32000).await;
    let told = client.post(&notification("notifications/roots/list_changed")).await;
    assert_eq!(told.status, 202);
    harness.far.answer(&request, &text("done"));
    assert_eq!(reply.join().await.json().await["result"], text("done"));
    drained.join().await;
}
