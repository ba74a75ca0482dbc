//! How a connection ends.

use std::{sync::Arc, time::Duration};

use frontend_stdio::ServeError;
use proxy_core::{
    backend::{Disposition, Event},
    error::{BackendError, ErrorKind},
};
use serde_json::json;
use testkit::memory::inbound;
use tokio::time::Instant;

use crate::harness::{Client, call, reason, text};

#[tokio::test(start_paused = true)]
async fn item_72_the_end_of_the_input_cancels_what_is_in_flight_and_ends_the_session() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call(2, "slow", &json!({}))).await;
    client.far.server.wait_for_slow(1).await;
    let start = Instant::now();
    client.close_input();
    client.served().await.unwrap();
    // The official clients kill after 2 s.
    assert!(start.elapsed().as_millis() < 2000, "{:?}", start.elapsed());
    assert_eq!(client.far.proxy.active_sessions(), 0);
    client.far.server.wait_for_method("notifications/cancelled").await.unwrap();
    client.far.backend.wait_for_closed(1).await;
    let error = client.next().await;
    assert_eq!((&error["id"], reason(&error)), (&json!(2), "session_closed"));
    assert_eq!(client.line().await, None);
}

#[tokio::test(start_paused = true)]
async fn item_72_without_requests_in_flight_the_end_is_at_once() {
    let mut client = Client::open("2025-11-25").await;
    let start = Instant::now();
    client.close_input();
    client.served().await.unwrap();
    assert_eq!(start.elapsed().as_millis(), 0);
    client.far.backend.wait_for_closed(1).await;
}

#[tokio::test(start_paused = true)]
async fn item_72_answers_that_are_on_their_way_still_come() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call(2, "slow", &json!({}))).await;
    client.far.server.wait_for_slow(1).await;
    client.close_input();
    client.far.server.release_slow(1);
    assert_eq!(client.next().await["id"], 2);
    client.served().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn item_72_a_client_that_went_away_leaves_nothing_behind() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call(2, "slow", &json!({}))).await;
    client.far.server.wait_for_slow(1).await;
    client.close_output();
    client.send(&json!({"jsonrpc": "2.0", "id": 3, "method": "ping"})).await;
    client.served().await.unwrap();
    client.far.server.wait_for_method("notifications/cancelled").await.unwrap();
    client.far.backend.wait_for_closed(1).await;
    assert_eq!(client.far.proxy.active_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_does_not_hold_up_the_end() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call(2, "big", &json!({"bytes": 500_000}))).await;
    client.far.server.wait_for_method("tools/call").await.unwrap();
    client.close_input();
    client.served().await.unwrap();
    assert_eq!(client.far.proxy.active_sessions(), 0);
}

#[tokio::test]
async fn a_session_that_the_far_end_has_forgotten_ends_the_connection() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call(2, "slow", &json!({}))).await;
    client.far.server.wait_for_slow(1).await;
    let route = client.far.server.routes().remove(0);
    let gone = BackendError::new(ErrorKind::SessionGone, "send", "no active session found");
    let told = client.far.server.deliver(inbound(Some(route), Event::SessionGone(gone))).await;
    assert_eq!(told, Disposition::Accepted);
    let error = client.next().await;
    assert_eq!((&error["id"], reason(&error)), (&json!(2), "session_gone"));
    assert_eq!(client.line().await, None);
    assert!(matches!(client.served().await, Err(ServeError::SessionEnded)));
}

#[tokio::test]
async fn draining_lets_answers_out_and_takes_nothing_new() {
    let mut client = Client::open("2025-11-25").await;
    client.send(&call(2, "slow", &json!({}))).await;
    client.far.server.wait_for_slow(1).await;
    let drained = {
        let proxy = Arc::clone(&client.far.proxy);
        let mut draining = tokio::task::JoinSet::new();
        draining.spawn(async move { proxy.drain(Instant::now() + Duration::from_secs(20)).await });
        while !client.far.proxy.is_draining() {
            tokio::task::yield_now().await;
        }
        draining
    };
    client.send(&call(3, "echo", &json!({}))).await;
    let refused = client.next().await;
    assert_eq!((&refused["id"], reason(&refused)), (&json!(3), "draining"));
    client.far.server.release_slow(1);
    let answer = client.next().await;
    assert_eq!(answer["id"], 2);
    assert!(!text(&answer).is_empty());
    drained.join_all().await;
    client.shutdown.cancel();
    client.served().await.unwrap();
    assert_eq!(client.line().await, None);
}
