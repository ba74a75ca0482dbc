//! `stateless = true`: what the revisions let a server do that keeps no sessions (2025-11-25, basic/transports: session ids are the
//! server's choice, GET and DELETE may get 405), in the shape that the official SDK servers give it.

use axum::{
    body::Body,
    http::{Method, header::HeaderMap},
};
use frontend_http::AuthToken;
use proxy_core::{backend::Outbound, config::Secret};
use serde_json::{Value, json};

use crate::{
    far_end::json_of,
    harness::{Harness, Setup, call, call_with_progress, initialize, notification, post, post_with, text},
    http::{Background, Reply, request},
};

const RESULT: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"logging":{},"resources":{"subscribe":true}},"serverInfo":{"name":"far end","version":"1"},"instructions":"as it is"}"#;

fn stateless(setup: &mut Setup) {
    setup.session.stateless = true;
}

/// Posts in the background, as the newest revision's clients do.
fn posting(harness: &Harness, body: Value) -> Background<Reply> {
    posting_as(harness, &[], body)
}

fn posting_as(harness: &Harness, headers: &[(&'static str, &str)], body: Value) -> Background<Reply> {
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    headers.push(("mcp-protocol-version", "2025-11-25".to_owned()));
    Background::run(post_with(harness.http.clone(), headers, body))
}

/// The far end takes part in the handshake of one of the proxy's own sessions.
async fn shake_hands(harness: &mut Harness) -> Outbound {
    let request = harness.far.expect("initialize").await;
    harness.far.answer(&request, &serde_json::from_str(RESULT).unwrap());
    harness.far.expect("notifications/initialized").await;
    request
}

fn has_no_session(headers: &HeaderMap) -> bool {
    headers.get("mcp-session-id").is_none()
}

#[tokio::test]
async fn initialize_is_answered_without_a_session_id_and_without_what_needs_one() {
    let mut harness = Harness::start(stateless).await;
    let capabilities = json!({"sampling": {}, "elicitation": {}});
    let reply = posting(&harness, initialize("2025-11-25", &capabilities));
    let request = shake_hands(&mut harness).await;
    let sent = json_of(&request);
    assert_eq!(sent["params"]["capabilities"], json!({}), "nobody can be asked anything");
    assert_ne!(sent["params"]["clientInfo"]["name"], "checklist", "the proxy is the client");
    let reply = reply.join().await;
    assert!(reply.status == 200 && has_no_session(&reply.headers));
    let answer = reply.json().await;
    assert_eq!(answer["id"], "init");
    assert_eq!(answer["result"]["serverInfo"]["name"], "far end");
    assert_eq!(answer["result"]["instructions"], "as it is");
    assert_eq!(answer["result"]["capabilities"], json!({"tools": {}, "resources": {}}));
    let reply = posting(&harness, notification("notifications/initialized")).join().await;
    assert_eq!(reply.status, 202);
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn a_request_needs_no_session_and_any_session_id_is_ignored() {
    let mut harness = Harness::start(stateless).await;
    let mut routes = Vec::new();
    for session in [None, Some("left-over-from-before"), Some("not an id")] {
        let headers: Vec<_> = session.map(|id| ("mcp-session-id", id)).into_iter().collect();
        let reply = posting_as(&harness, &headers, call(1));
        if routes.is_empty() {
            shake_hands(&mut harness).await;
        }
        let request = harness.far.expect("tools/call").await;
        harness.far.answer(&request, &text("done"));
        let reply = reply.join().await;
        assert!(reply.status == 200 && has_no_session(&reply.headers));
        assert_eq!(reply.json().await, json!({"jsonrpc": "2.0", "id": 1, "result": text("done")}));
        routes.push(request.remote.route);
    }
    assert!(routes.iter().all(|route| *route == routes[0]), "one session after the other's request");
}

#[tokio::test]
async fn get_and_delete_are_not_taken() {
    let harness = Harness::start(stateless).await;
    for method in [Method::GET, Method::DELETE] {
        for session in [None, Some("x")] {
            let mut request = request(method.clone());
            if let Some(session) = session {
                request = request.header("mcp-session-id", session);
            }
            let reply = harness.http.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(reply.header("allow"), Some("POST, OPTIONS"));
            reply.refused(405, -32000).await;
        }
    }
    let reply = harness.http.send(request(Method::OPTIONS).body(Body::empty()).unwrap()).await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (204, Some("POST, OPTIONS")));
}

#[tokio::test]
async fn what_needs_a_session_is_no_method_and_a_ping_is_answered_here() {
    let mut harness = Harness::start(stateless).await;
    for method in ["resources/subscribe", "resources/unsubscribe", "logging/setLevel"] {
        let body =
            json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": {"uri": "x:y", "level": "info"}});
        posting(&harness, body).join().await.refused(200, -32601).await;
    }
    let ping = posting(&harness, json!({"jsonrpc": "2.0", "id": 8, "method": "ping"})).join().await;
    assert_eq!(ping.json().await, json!({"jsonrpc": "2.0", "id": 8, "result": {}}));
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn notifications_and_answers_are_taken_and_go_nowhere() {
    let mut harness = Harness::start(stateless).await;
    let reply = posting(&harness, call(1));
    shake_hands(&mut harness).await;
    let request = harness.far.expect("tools/call").await;
    for body in [
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
        notification("notifications/roots/list_changed"),
        json!({"jsonrpc": "2.0", "id": 0, "result": {}}),
    ] {
        assert_eq!(posting(&harness, body).join().await.status, 202);
    }
    assert!(harness.far.has_nothing());
    harness.far.answer(&request, &text("not cancelled"));
    assert_eq!(reply.join().await.json().await["result"], text("not cancelled"));
}

#[tokio::test]
async fn a_stream_has_no_event_ids_and_only_what_is_its_requests() {
    let mut harness = Harness::start(|setup| {
        stateless(setup);
        setup.streaming();
    })
    .await;
    let reply = posting(&harness, call_with_progress(1, "token"));
    shake_hands(&mut harness).await;
    let request = harness.far.expect("tools/call").await;
    let mut events = reply.join().await.events();
    harness.far.progress(&request, 1);
    harness.far.log(&request.remote.route, Some(&request), "related");
    harness.far.answer(&request, &text("done"));
    let mut seen = Vec::new();
    while let Some(block) = events.event().await {
        assert_eq!((block.id, block.retry), (None, None), "there is nowhere to resume it");
        seen.push(serde_json::from_str::<Value>(&block.data.unwrap()).unwrap());
    }
    assert_eq!(seen[0]["params"]["progressToken"], "token");
    assert_eq!(seen[1]["params"]["data"], "related");
    assert_eq!(seen[2]["result"], text("done"));
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_a_session_that_comes_back_with_the_answer() {
    let mut harness = Harness::start(|setup| {
        stateless(setup);
        setup.session.max_sessions = 1;
    })
    .await;
    let reply = posting(&harness, call(1));
    shake_hands(&mut harness).await;
    let request = harness.far.expect("tools/call").await;
    drop(reply);
    let second = posting(&harness, call(2));
    // The only session is lent until its exchange has ended, whether its client is there or not.
    harness.far.answer(&request, &text("for nobody"));
    let next = harness.far.expect("tools/call").await;
    assert_eq!(next.remote.route, request.remote.route);
    harness.far.answer(&next, &text("second"));
    assert_eq!(second.join().await.json().await["result"], text("second"));
}

#[tokio::test]
async fn more_requests_than_may_wait_are_sent_away_with_a_time() {
    let mut harness = Harness::start(|setup| {
        stateless(setup);
        setup.session.max_sessions = 1;
    })
    .await;
    let first = posting(&harness, call(1));
    shake_hands(&mut harness).await;
    let request = harness.far.expect("tools/call").await;
    let waiting = posting(&harness, call(2));
    while harness.proxy.exchanges_in_flight() < 2 {
        tokio::task::yield_now().await;
    }
    let refused = posting(&harness, call(3)).join().await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    let body = refused.refused(503, -32000).await;
    assert_eq!(body["error"]["data"]["reason"], "too_many_waiting");
    harness.far.answer(&request, &text("first"));
    let request = harness.far.expect("tools/call").await;
    harness.far.answer(&request, &text("second"));
    assert_eq!(first.join().await.json().await["result"], text("first"));
    assert_eq!(waiting.join().await.json().await["result"], text("second"));
}

#[tokio::test]
async fn principals_share_no_session() {
    let mut harness = Harness::start(|setup| {
        stateless(setup);
        setup.security.auth_tokens = [("ci", "one"), ("ops", "two")]
            .map(|(name, token)| AuthToken::new(name, Secret::new(token)))
            .to_vec();
    })
    .await;
    let mut routes = Vec::new();
    for token in ["Bearer one", "Bearer two"] {
        let reply = posting_as(&harness, &[("authorization", token)], call(1));
        shake_hands(&mut harness).await;
        let request = harness.far.expect("tools/call").await;
        harness.far.answer(&request, &text(token));
        assert_eq!(reply.join().await.json().await["result"], text(token));
        routes.push(request.remote.route);
    }
    assert_ne!(routes[0], routes[1]);
    posting(&harness, call(1)).join().await.refused(401, -32000).await;
}

#[tokio::test]
async fn a_batch_is_taken_where_the_revision_has_batches() {
    let mut harness = Harness::start(stateless).await;
    let batch = json!([call(1), {"jsonrpc": "2.0", "id": 2, "method": "ping"}]);
    posting(&harness, batch.clone()).join().await.refused(400, -32600).await;
    let http = harness.http.clone();
    let reply = Background::run(async move { post(&http, &batch).await });
    let handshake = shake_hands(&mut harness).await;
    assert_eq!(json_of(&handshake)["params"]["protocolVersion"], "2025-03-26", "no header means that one");
    let request = harness.far.expect("tools/call").await;
    harness.far.answer(&request, &text("done"));
    let answers = reply.join().await.json().await;
    assert_eq!(answers.as_array().unwrap().len(), 2, "{answers}");
}
