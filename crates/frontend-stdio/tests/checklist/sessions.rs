//! The handshake, and what comes before it.

use std::time::Duration;

use proxy_core::{
    config::SessionConfig,
    error::{BackendError, ErrorKind},
};
use serde_json::json;

use crate::harness::{Client, PIPE, call, initialize, reason, text};

#[tokio::test]
async fn item_73_a_probe_for_the_modern_era_leads_to_initialize() {
    let mut client = Client::start();
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    for probe in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}),
    ] {
        client.send(&probe).await;
        let error = client.next().await;
        assert_eq!((&error["id"], reason(&error)), (&json!(1), "modern_era"));
        // A client of both eras would take these for a server of the modern one (2026-07-28, basic/transports/stdio).
        assert!(![-32020, -32021, -32022].contains(&error["error"]["code"].as_i64().unwrap()), "{error}");
    }
    client.handshake("2025-11-25").await;
    client.send(&call(2, "echo", &json!({"text": "on the same pipe"}))).await;
    assert_eq!(text(&client.next().await), "on the same pipe");
}

#[tokio::test]
async fn before_initialize_only_pings_are_answered() {
    let mut client = Client::start();
    client.nothing_but_a_ping().await;
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    client.send(&json!({"jsonrpc": "2.0", "id": 7, "result": {}})).await;
    client.send(&call(2, "echo", &json!({}))).await;
    let error = client.next().await;
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(2), &json!(-32600)));
    assert_eq!(reason(&error), "not_initialized");
    assert_eq!(client.far.proxy.active_sessions(), 0);
}

#[tokio::test]
async fn a_failed_handshake_can_be_tried_again() {
    let mut client = Client::start();
    let failure = BackendError::new(ErrorKind::Unavailable, "send", "the queue is not there");
    client.far.backend.fail_next_send(failure);
    client.send(&initialize(1, "2025-11-25")).await;
    let error = client.next().await;
    assert_eq!((&error["id"], reason(&error)), (&json!(1), "unavailable"));
    client.send(&call(2, "echo", &json!({}))).await;
    assert_eq!(reason(&client.next().await), "not_initialized");
    client.handshake("2025-11-25").await;
    assert_eq!(client.far.proxy.active_sessions(), 1);
}

#[tokio::test]
async fn an_initialized_session_is_not_initialized_again() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&initialize(2, "2025-11-25")).await;
    let error = client.next().await;
    assert_eq!((&error["id"], &error["error"]["code"]), (&json!(2), &json!(-32600)));
    client.send(&call(3, "echo", &json!({"text": "still there"}))).await;
    assert_eq!(text(&client.next().await), "still there");
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_keeps_its_session() {
    let mut config = SessionConfig::default();
    config.session_timeout = Duration::from_secs(10);
    let mut client = Client::start_with(config, PIPE);
    client.handshake("2025-11-25").await;
    tokio::time::advance(Duration::from_hours(1)).await;
    client.send(&call(2, "echo", &json!({"text": "back"}))).await;
    assert_eq!(text(&client.next().await), "back");
}

#[tokio::test]
async fn too_many_requests_at_once_are_told_so() {
    let mut config = SessionConfig::default();
    config.max_exchanges = 2;
    let mut client = Client::start_with(config, PIPE);
    client.handshake("2025-11-25").await;
    for id in [2, 3, 4] {
        client.send(&call(id, "slow", &json!({}))).await;
    }
    let error = client.next().await;
    assert_eq!((&error["id"], reason(&error)), (&json!(4), "too_many_exchanges"));
    client.far.server.release_slow(2);
    let mut ids = [client.next().await["id"].as_i64(), client.next().await["id"].as_i64()];
    ids.sort_unstable();
    assert_eq!(ids, [Some(2), Some(3)]);
}
