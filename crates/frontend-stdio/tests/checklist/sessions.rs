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

/// As `printf '…' | server` has it.
#[tokio::test]
async fn what_is_written_in_one_go_is_taken_in_its_order() {
    let mut client = Client::start();
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let first = call(2, "echo", &json!({"text": "right behind"}));
    let second = initialize(3, "2025-11-25");
    let all = format!("{}\n{initialized}\n{first}\n{second}\n", initialize(1, "2025-11-25"));
    client.write(all.as_bytes()).await;
    client.close_input();
    assert_eq!(client.next().await["id"], 1);
    let mut rest = [client.next().await, client.next().await];
    rest.sort_by_key(|answer| answer["id"].as_i64());
    assert_eq!(text(&rest[0]), "right behind");
    assert_eq!((&rest[1]["id"], reason(&rest[1])), (&json!(3), "invalid_request"));
    assert_eq!(client.line().await, None);
    client.served().await.unwrap();
    client.far.server.wait_for_method("notifications/initialized").await.unwrap();
}

#[tokio::test]
async fn a_batch_is_taken_in_its_order_too() {
    let mut client = Client::start();
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let batch = json!([call(2, "echo", &json!({"text": "a"})), call(3, "echo", &json!({"text": "b"}))]);
    let all = [initialize(1, "2025-03-26"), initialized, batch];
    client.write(all.map(|message| format!("{message}\n")).concat().as_bytes()).await;
    assert_eq!(client.next().await["id"], 1);
    let answers = client.next().await;
    let mut texts: Vec<_> = answers.as_array().unwrap().iter().map(text).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["a", "b"]);
}

#[tokio::test]
async fn what_waits_for_a_handshake_that_fails_is_refused_and_may_begin_another() {
    let mut client = Client::start();
    let failure = BackendError::new(ErrorKind::Unavailable, "send", "the queue is not there");
    client.far.backend.fail_next_send(failure);
    let all = [initialize(1, "2025-11-25"), call(2, "echo", &json!({})), initialize(3, "2025-11-25")];
    client.write(all.map(|message| format!("{message}\n")).concat().as_bytes()).await;
    let mut answers = [client.next().await, client.next().await, client.next().await];
    answers.sort_by_key(|answer| answer["id"].as_i64());
    assert_eq!(reason(&answers[0]), "unavailable");
    assert_eq!(reason(&answers[1]), "not_initialized");
    assert_eq!(answers[2]["result"]["protocolVersion"], "2025-11-25");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_to_its_end_holds_up_neither_pings_nor_the_end() {
    let mut client = Client::start();
    client.far.backend.hold_sends();
    client.send(&initialize(1, "2025-11-25")).await;
    client.send(&call(2, "echo", &json!({}))).await;
    client.nothing_but_a_ping().await;
    client.close_input();
    let mut answers = [client.next().await, client.next().await];
    answers.sort_by_key(|answer| answer["id"].as_i64());
    assert_eq!((&answers[0]["id"], reason(&answers[0])), (&json!(1), "session_closed"));
    assert_eq!((&answers[1]["id"], reason(&answers[1])), (&json!(2), "not_initialized"));
    assert_eq!(client.line().await, None);
    client.served().await.unwrap();
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
