//! Messages in both directions.

use std::time::Duration;

use proxy_core::{backend::Disposition, config::SessionConfig};
use serde_json::{Value, json};

use crate::harness::{Client, call, text};

#[tokio::test]
async fn item_74_a_cancelled_request_is_stopped_and_not_answered() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call("slow one", "slow", &json!({}))).await;
    client.far.server.wait_for_slow(1).await;
    let params = json!({"requestId": "slow one", "reason": "enough"});
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})).await;
    let cancelled = client.far.server.wait_for_method("notifications/cancelled").await.unwrap();
    let asked = client.far.server.wait_for_method("tools/call").await.unwrap();
    let cancelled: Value = serde_json::from_str(cancelled.message.as_str()).unwrap();
    assert_eq!(cancelled["params"]["requestId"], asked.message.id().unwrap().as_text());
    assert_eq!(cancelled["params"]["reason"], "enough");
    client.far.server.release_slow(1);
    client.nothing_but_a_ping().await;
}

#[tokio::test]
async fn requests_are_answered_as_they_are_ready() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call(2, "slow", &json!({}))).await;
    client.far.server.wait_for_slow(1).await;
    client.send(&call(3, "echo", &json!({"text": "first"}))).await;
    assert_eq!(text(&client.next().await), "first");
    client.far.server.release_slow(1);
    assert_eq!(client.next().await["id"], 2);
}

#[tokio::test]
async fn progress_comes_before_its_answer() {
    let mut client = Client::open("2025-11-25").await;
    let mut slow = call(2, "slow", &json!({"progress": 3}));
    slow["params"]["_meta"] = json!({"progressToken": "mine"});
    client.send(&slow).await;
    client.far.server.release_slow(1);
    for _ in 0..3 {
        let progress = client.next().await;
        assert_eq!(progress["method"], "notifications/progress");
        assert_eq!(progress["params"]["progressToken"], "mine");
    }
    assert_eq!(client.next().await["id"], 2);
}

#[tokio::test]
async fn the_server_may_ask_the_client() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call(2, "ask", &json!({"method": "roots/list"}))).await;
    let asked = client.next().await;
    assert_eq!(asked["method"], "roots/list");
    client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": []}})).await;
    let answer = client.next().await;
    assert_eq!(answer["id"], 2);
    assert!(text(&answer).contains("roots"), "{answer}");
}

#[tokio::test]
async fn what_the_server_sends_by_itself_is_written() {
    let mut client = Client::open("2025-11-25").await;
    let route = client.far.server.routes().remove(0);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let sent = client.far.server.return_path().send(&route, changed).await;
    assert_eq!(sent, Ok(Disposition::Accepted));
    assert_eq!(client.line().await.as_deref(), Some(changed));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_from() {
    let mut client = Client::start_with(SessionConfig::default(), 1024);
    client.handshake("2025-11-25").await;
    let ping = format!("{}\n", json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    let mut written = 0_usize;
    // The pipes hold a kilobyte each and the queue sixteen answers.
    while tokio::time::timeout(Duration::from_millis(100), client.write(ping.as_bytes())).await.is_ok() {
        written += 1;
        assert!(written < 10_000, "answers pile up");
    }
    for _ in 0..written {
        assert_eq!(client.next().await["id"], 1);
    }
}
