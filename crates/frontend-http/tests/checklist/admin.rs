//! What operators, load balancers and scrapers see.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{body::Body, http::Method};
use proxy_core::config::Secret;
use serde_json::{Value, json};

use crate::{
    harness::{Harness, Setup, call, post},
    http::{Reply, request},
};

fn locked(setup: &mut Setup) {
    setup.security.auth_token = Some(Secret::new("open-sesame"));
}

async fn get(harness: &Harness, path: &str, headers: &[(&'static str, &str)]) -> Reply {
    let mut request = request(Method::GET).uri(path);
    for (name, value) in headers {
        request.headers_mut().unwrap().insert(*name, value.parse().unwrap());
    }
    harness.http.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_probes_are_open_and_say_ok_or_not() {
    let harness = Harness::start(locked).await;
    for path in ["/livez", "/readyz"] {
        let reply = get(&harness, path, &[("host", "10.1.2.3:8080")]).await;
        assert_eq!((reply.status.as_u16(), reply.text().await.as_str()), (200, "ok\n"), "{path}");
    }
}

#[tokio::test]
async fn readiness_is_red_while_the_backend_cannot_be_reached() {
    let harness = Harness::start(|_| {}).await;
    harness.far.backend.set_ready(false);
    let ready = get(&harness, "/readyz", &[]).await;
    assert_eq!((ready.status.as_u16(), ready.text().await.as_str()), (503, "not ready\n"));
    assert_eq!(get(&harness, "/livez", &[]).await.status, 200);
    let health = get(&harness, "/health", &[]).await;
    assert_eq!(health.status, 503);
    assert_eq!(health.json().await["status"], "unavailable");
}

#[tokio::test]
async fn without_an_endpoint_there_is_only_what_operators_ask() {
    let ready = Arc::new(AtomicBool::new(true));
    let harness = Harness::start({
        let ready = Arc::clone(&ready);
        move |setup| {
            setup.adjust = Box::new(move |app| {
                app.admin_only().also_ready(Arc::new(move || {
                    let ready = Arc::clone(&ready);
                    Box::pin(async move { ready.load(Ordering::Relaxed) })
                }))
            });
        }
    })
    .await;
    assert_eq!(get(&harness, "/readyz", &[]).await.status, 200);
    assert_eq!(get(&harness, "/metrics", &[]).await.status, 200);
    assert_eq!(get(&harness, "/mcp", &[]).await.status, 404);
    ready.store(false, Ordering::Relaxed);
    assert_eq!(get(&harness, "/readyz", &[]).await.status, 503);
    assert_eq!(get(&harness, "/livez", &[]).await.status, 200);
}

#[tokio::test]
async fn health_gives_its_details_to_who_passes_the_guards() {
    let mut harness = Harness::start(locked).await;
    harness.open_as("2025-11-25", &[("authorization", "Bearer open-sesame")]).await;
    let full = get(&harness, "/health", &[("authorization", "Bearer open-sesame")]).await.json().await;
    assert_eq!(
        full,
        json!({
            "status": "ok",
            "backend_transport": "memory",
            "active_sessions": 1,
            "version": env!("CARGO_PKG_VERSION"),
        })
    );
    for headers in [
        &[][..],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Bearer open-sesame"), ("host", "evil.example.com")],
        &[("authorization", "Bearer open-sesame"), ("origin", "http://evil.example.com")],
    ] {
        let reply = get(&harness, "/health", headers).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json().await, json!({"status": "ok"}));
    }
}

#[tokio::test]
async fn metrics_are_behind_the_guards_and_count_refusals_by_reason() {
    let mut harness = Harness::start(locked).await;
    let headers = [("authorization", "Bearer open-sesame")];
    let client = harness.open_as("2025-11-25", &headers).await;
    let _stream = client.get().await.events();
    post(&harness.http, &call(1)).await.refused(401, -32000).await;
    get(&harness, "/metrics", &[]).await.refused(401, -32000).await;
    let reply = get(&harness, "/metrics", &headers).await;
    assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = reply.text().await;
    for line in [
        r#"mcp_proxy_http_responses_total{status="4xx",reason="token_missing"} 1"#,
        r#"mcp_proxy_http_responses_total{status="2xx",reason=""} 3"#,
        "mcp_proxy_http_open_streams 1",
        "mcp_proxy_sessions 1",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn every_refusal_is_a_json_rpc_error_with_a_reason() {
    let harness = Harness::start(|_| {}).await;
    let refused = get(&harness, "/mcp", &[]).await.refused(400, -32000).await;
    assert_eq!(refused["id"], Value::Null);
    assert_eq!(refused["error"]["data"]["reason"], "session_required");
    let refused = get(&harness, "/nowhere", &[]).await.refused(404, -32000).await;
    assert_eq!(refused["error"]["data"]["reason"], "path_not_found");
}
