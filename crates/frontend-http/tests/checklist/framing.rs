//! HTTP framing: items 1 to 8, and 12 and 13.

use std::time::Duration;

use axum::{body::Body, http::Method};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    harness::{Client, Harness, call, notification, post, text},
    http::{Http, Reply, request},
};

async fn post_accepting(client: &Client, accept: Option<&str>, body: &Value) -> Reply {
    let mut request = client.request(Method::POST);
    let headers = request.headers_mut().unwrap();
    headers.remove("accept");
    if let Some(accept) = accept {
        headers.insert("accept", accept.parse().unwrap());
    }
    client.http.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn post_raw(http: &Http, body: &'static str) -> Reply {
    http.send(request(Method::POST).body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn item_01_strict_mode_wants_both_media_types() {
    let mut harness = Harness::start(|setup| setup.security.strict_accept = true).await;
    let client = harness.open("2025-11-25").await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for accept in [None, Some("*/*"), Some("application/json"), Some("text/event-stream")] {
        post_accepting(&client, accept, &ping).await.refused(406, -32000).await;
    }
    assert_eq!(client.post(&ping).await.status, 200);
}

#[tokio::test]
async fn item_01_lenient_mode_answers_with_what_fits() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-11-25").await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for (accept, content_type) in [
        (None, "application/json"),
        (Some("*/*"), "application/json"),
        (Some("application/json"), "application/json"),
        (Some("text/event-stream"), "text/event-stream"),
    ] {
        let reply = post_accepting(&client, accept, &ping).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-type")),
            (200, Some(content_type)),
            "{accept:?}"
        );
    }
    post_accepting(&client, Some("text/html"), &ping).await.refused(406, -32000).await;
}

#[tokio::test]
async fn item_02_a_body_that_is_not_json_by_its_type_is_refused() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-11-25").await;
    let send = async |content_type: Option<&str>| {
        let mut request = client.request(Method::POST);
        request.headers_mut().unwrap().remove("content-type");
        let request =
            content_type.into_iter().fold(request, |request, value| request.header("content-type", value));
        let body = Body::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        client.http.send(request.body(body).unwrap()).await
    };
    send(Some("text/plain")).await.refused(415, -32000).await;
    send(None).await.refused(415, -32000).await;
    assert_eq!(send(Some("application/json; charset=utf-8")).await.status, 200);
}

#[tokio::test]
async fn item_03_an_unparseable_body_is_a_parse_error() {
    let harness = Harness::start(|_| {}).await;
    for body in ["", "{", "{\"jsonrpc\":\"2.0\",", "nonsense", "[{]"] {
        let refused = post_raw(&harness.http, body).await.refused(400, -32700).await;
        assert_eq!(refused["id"], Value::Null, "{body}");
    }
}

#[tokio::test]
async fn item_04_json_that_is_no_message_is_an_invalid_request() {
    let harness = Harness::start(|_| {}).await;
    for body in [
        "1",
        "{}",
        "[]",
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
    ] {
        post_raw(&harness.http, body).await.refused(400, -32600).await;
    }
}

#[tokio::test]
async fn item_05_an_accepted_notification_gets_202_without_a_body() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    let reply = client.post(&notification("notifications/roots/list_changed")).await;
    assert_eq!(reply.status, 202);
    assert_eq!(reply.text().await, "");
    harness.far.expect("notifications/roots/list_changed").await;
}

#[tokio::test]
async fn item_06_an_accepted_response_gets_202() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    let reply = client.post(&json!({"jsonrpc": "2.0", "id": "ask-1", "result": {}})).await;
    assert_eq!(reply.status, 202);
    assert_eq!(reply.text().await, "");
}

#[tokio::test]
async fn item_07_the_modern_era_is_refused_so_that_a_client_of_both_falls_back() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-11-25").await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let discover = json!({"jsonrpc": "2.0", "id": 7, "method": "server/discover", "params": {"_meta": meta}});
    let bare_discover = json!({"jsonrpc": "2.0", "id": 7, "method": "server/discover"});
    let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": meta}});
    for body in [&discover, &bare_discover, &list] {
        assert_eq!(post(&harness.http, body).await.refused(400, -32600).await["id"], 7);
        assert_eq!(client.post(body).await.refused(400, -32600).await["id"], 7);
    }
    let told = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"_meta": meta}});
    client.post(&told).await.refused(400, -32600).await;
    let by_header = client.request(Method::POST).header("mcp-protocol-version", "2026-07-28");
    let by_header = by_header.body(Body::from(call(7).to_string())).unwrap();
    assert_eq!(harness.http.send(by_header).await.refused(400, -32600).await["id"], 7);
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn item_08_other_methods_are_not_allowed() {
    let harness = Harness::start(|_| {}).await;
    for method in [Method::PUT, Method::PATCH, Method::TRACE] {
        let reply = harness.http.send(request(method).body(Body::empty()).unwrap()).await;
        let allow = reply.header("allow").unwrap().to_owned();
        assert!(["GET", "POST", "DELETE"].iter().all(|method| allow.contains(method)), "{allow}");
        reply.refused(405, -32000).await;
    }
    let head = harness.http.send(request(Method::HEAD).body(Body::empty()).unwrap()).await;
    assert_eq!(head.status, 405);
    let options = harness.http.send(request(Method::OPTIONS).body(Body::empty()).unwrap()).await;
    assert_eq!((options.status.as_u16(), options.headers.contains_key("allow")), (204, true));
}

#[tokio::test]
async fn item_12_streams_pass_through_buffering_proxies() {
    let mut harness = Harness::start(super::harness::Setup::streaming).await;
    let client = harness.open("2025-11-25").await;
    let (request, reply) = harness.call(&client, call(1)).await;
    let reply = reply.join().await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(reply.header("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(reply.header("x-accel-buffering"), Some("no"));
    harness.far.answer(&request, &text("done"));
    let standalone = client.get().await;
    assert_eq!(standalone.header("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(standalone.header("x-accel-buffering"), Some("no"));
}

#[tokio::test(start_paused = true)]
async fn item_13_a_silent_stream_gets_a_comment_at_once_and_every_15_seconds() {
    let mut harness = Harness::start(|setup| {
        setup.in_memory();
        setup.streaming();
    })
    .await;
    let client = harness.open("2025-06-18").await;
    let (_request, of_call) = harness.call_streaming(&client, call(1)).await;
    let standalone = client.get().await.events();
    for mut events in [of_call, standalone] {
        let start = Instant::now();
        assert!(events.block().await.unwrap().is_comment());
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..3 {
            let before = Instant::now();
            assert!(events.block().await.unwrap().is_comment());
            assert!(before.elapsed() <= Duration::from_secs(15));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_slow_comes_as_a_stream_and_a_quick_one_as_json() {
    let mut harness = Harness::start(|setup| {
        setup.in_memory();
        setup.session.sse_after = Duration::from_millis(250);
    })
    .await;
    let client = harness.open("2025-11-25").await;
    let (request, reply) = harness.call(&client, call(1)).await;
    tokio::time::advance(Duration::from_millis(249)).await;
    harness.far.answer(&request, &text("quick"));
    assert_eq!(reply.join().await.json().await["result"], text("quick"));

    let (request, reply) = harness.call(&client, call(2)).await;
    let start = Instant::now();
    let mut events = reply.join().await.events();
    assert!(start.elapsed() >= Duration::from_millis(250) && start.elapsed() < Duration::from_millis(300));
    harness.far.answer(&request, &text("slow"));
    assert_eq!(events.message().await.unwrap().1["result"], text("slow"));
    assert_eq!(events.message().await, None);
}
