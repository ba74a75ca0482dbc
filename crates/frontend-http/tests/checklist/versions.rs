//! Versions and batches: items 15, 16, 21, 22, and 24 to 26.

use axum::{body::Body, http::Method};
use serde_json::{Value, json};

use crate::{
    far_end::json_of,
    harness::{Client, Harness, call, initialize, initialized, notification, post, text},
    http::{Background, Reply},
};

/// Asks for `version`, and has the far end grant what reaches it. Returns what reached it and what came back.
async fn negotiate(harness: &mut Harness, version: &'static str) -> (String, String) {
    let http = harness.http.clone();
    let reply = Background::run(async move { post(&http, &initialize(version, &json!({}))).await });
    let request = harness.far.expect("initialize").await;
    let asked = json_of(&request)["params"]["protocolVersion"].as_str().unwrap().to_owned();
    harness.far.answer(&request, &initialized(&asked));
    let answer = reply.join().await.json().await;
    (asked, answer["result"]["protocolVersion"].as_str().unwrap().to_owned())
}

async fn post_as(client: &Client, version: &str, body: &Value) -> Reply {
    let request = client.request(Method::POST).header("mcp-protocol-version", version);
    client.http.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn item_15_a_supported_version_is_echoed_and_an_unknown_one_becomes_a_supported_one() {
    let mut harness = Harness::start(|_| {}).await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        assert_eq!(negotiate(&mut harness, version).await, (version.to_owned(), version.to_owned()));
    }
    let latest = "2025-11-25".to_owned();
    assert_eq!(negotiate(&mut harness, "1999-01-01").await, (latest.clone(), latest));
}

#[tokio::test]
async fn item_16_a_handshake_never_agrees_on_the_modern_era() {
    let mut harness = Harness::start(|_| {}).await;
    let latest = "2025-11-25".to_owned();
    assert_eq!(negotiate(&mut harness, "2026-07-28").await, (latest.clone(), latest));
}

#[tokio::test]
async fn item_21_a_missing_version_header_is_accepted() {
    let mut harness = Harness::start(super::harness::Setup::streaming).await;
    for (version, primed) in [("2025-06-18", false), ("2025-11-25", true)] {
        let client = harness.open(version).await;
        let (request, mut events) = harness.call_streaming(&client, call(1)).await;
        harness.far.answer(&request, &text("done"));
        // The version comes from the session: only the newer one has priming events.
        assert_eq!(events.event().await.unwrap().data.as_deref() == Some(""), primed);
    }
}

#[tokio::test]
async fn item_22_an_unsupported_version_header_is_refused() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    for version in ["1999-01-01", "", "2025-06-18, 2025-06-18", "invalid"] {
        let reply = post_as(&client, version, &call(3)).await;
        assert_eq!(reply.status, 400, "{version}");
        assert_eq!(reply.json().await["id"], 3);
    }
    for method in [Method::GET, Method::DELETE] {
        let request = client.request(method).header("mcp-protocol-version", "invalid");
        assert_eq!(harness.http.send(request.body(Body::empty()).unwrap()).await.status, 400);
    }
    assert!(harness.far.has_nothing());
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(post_as(&client, "2025-06-18", &ping).await.status, 200);
}

#[tokio::test]
async fn item_24_a_batch_is_answered_at_2025_03_26() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-03-26").await;
    let batch = json!([call(1), notification("notifications/roots/list_changed"), call("1")]);
    let reply = Background::run({
        let client = client.clone();
        async move { client.post(&batch).await }
    });
    let mut requests = Vec::new();
    for _ in 0..3 {
        let outbound = harness.far.next().await;
        if outbound.message.method() == Some("tools/call") {
            requests.push(outbound);
        }
    }
    for request in &requests {
        harness.far.answer(request, &text("done"));
    }
    let answers = reply.join().await.json().await;
    let mut ids: Vec<String> =
        answers.as_array().unwrap().iter().map(|answer| answer["id"].to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["\"1\"", "1"]);
}

#[tokio::test]
async fn item_24_the_answer_to_a_batch_of_one_is_an_array() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-03-26").await;
    let ping = json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]);
    let answer = client.post(&ping).await.json().await;
    assert_eq!(answer, json!([{"jsonrpc": "2.0", "id": 1, "result": {}}]));
}

#[tokio::test]
async fn item_24_a_batch_of_notifications_gets_202() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-03-26").await;
    let told = notification("notifications/roots/list_changed");
    let reply = client.post(&json!([told, told])).await;
    assert_eq!(reply.status, 202);
    assert_eq!(reply.text().await, "");
}

#[tokio::test]
async fn item_25_initialize_is_not_taken_in_a_batch() {
    let mut harness = Harness::start(|_| {}).await;
    let init = initialize("2025-03-26", &json!({}));
    post(&harness.http, &json!([init])).await.refused(400, -32600).await;
    post(&harness.http, &json!([init, call(1)])).await.refused(400, -32600).await;
    let client = harness.open("2025-03-26").await;
    client.post(&json!([call(1), init])).await.refused(400, -32600).await;
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn item_26_newer_versions_have_no_batches() {
    let mut harness = Harness::start(|_| {}).await;
    for version in ["2025-06-18", "2025-11-25"] {
        let client = harness.open(version).await;
        client.post(&json!([call(1), call(2)])).await.refused(400, -32600).await;
        client.post(&json!([call(1)])).await.refused(400, -32600).await;
        let told = notification("notifications/roots/list_changed");
        client.post(&json!([told])).await.refused(400, -32600).await;
    }
    assert!(harness.far.has_nothing());
}
