//! Which stream carries what: items 27 to 30 and 33.

use std::time::Duration;

use axum::{body::Body, http::Method};
use serde_json::{Value, json};

use crate::harness::{Harness, Setup, call, call_with_progress, text};

#[tokio::test]
async fn item_27_a_get_has_to_accept_a_stream() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    for accept in [Some("application/json"), None] {
        let mut get = client.request(Method::GET);
        let headers = get.headers_mut().unwrap();
        headers.remove("accept");
        if let Some(accept) = accept {
            headers.insert("accept", accept.parse().unwrap());
        }
        harness.http.send(get.body(Body::empty()).unwrap()).await.refused(406, -32000).await;
    }
    let mut events = client.get().await.events();
    assert!(events.block().await.unwrap().is_comment());
}

#[tokio::test(start_paused = true)]
async fn item_28_a_newer_standalone_stream_takes_over_but_once_in_30_seconds() {
    let mut harness = Harness::start(Setup::in_memory).await;
    let client = harness.open("2025-11-25").await;
    let mut first = client.get().await.events();
    let mut second = client.get().await.events();
    assert_eq!(first.message().await, None, "the older stream is closed cleanly");

    let refused = client.get().await;
    let retry_after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&retry_after), "{retry_after}");
    refused.refused(409, -32000).await;

    harness.far.log(&client.route, None, "for the second");
    assert_eq!(second.message().await.unwrap().1["params"]["data"], "for the second");
    tokio::time::sleep(Duration::from_secs(retry_after)).await;
    let mut third = client.get().await.events();
    assert_eq!(second.message().await, None);
    harness.far.log(&client.route, None, "for the third");
    assert_eq!(third.message().await.unwrap().1["params"]["data"], "for the third");
}

#[tokio::test]
async fn item_29_a_standalone_stream_carries_no_answer() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-06-18").await;
    let mut standalone = client.get().await.events();
    let (request, mut events) = harness.call_streaming(&client, call(1)).await;
    harness.far.answer(&request, &text("done"));
    assert_eq!(events.message().await.unwrap().1["id"], 1);
    harness.far.log(&client.route, None, "hello");
    assert_eq!(standalone.message().await.unwrap().1["method"], "notifications/message");
}

#[tokio::test]
async fn item_30_a_message_is_delivered_on_one_stream_only() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-11-25").await;
    let mut standalone = client.get().await.events();
    let (one, mut of_one) = harness.call_streaming(&client, call_with_progress(1, "one")).await;
    let (two, mut of_two) = harness.call_streaming(&client, call_with_progress(2, "two")).await;
    harness.far.progress(&one, 1);
    harness.far.log(&client.route, Some(&two), "of two");
    harness.far.log(&client.route, None, "of none");
    harness.far.answer(&one, &text("one"));
    harness.far.answer(&two, &text("two"));

    let of_one: Vec<Value> = messages(&mut of_one).await;
    assert_eq!(of_one.len(), 2);
    assert_eq!(of_one[0]["params"]["progressToken"], "one");
    assert_eq!(of_one[1]["id"], 1);
    let of_two: Vec<Value> = messages(&mut of_two).await;
    assert_eq!(of_two.len(), 2);
    assert_eq!(of_two[0]["params"]["data"], "of two");
    assert_eq!(of_two[1]["id"], 2);
    assert_eq!(standalone.message().await.unwrap().1["params"]["data"], "of none");
    assert!(client.delete().await.status.is_success());
    assert_eq!(standalone.message().await, None);
}

#[tokio::test]
async fn item_33_streams_begin_with_a_priming_event_from_2025_11_25_on() {
    let mut harness = Harness::start(Setup::streaming).await;
    for (version, primed) in [("2025-03-26", false), ("2025-06-18", false), ("2025-11-25", true)] {
        let client = harness.open(version).await;
        let (request, of_call) = harness.call_streaming(&client, call(1)).await;
        harness.far.answer(&request, &text("done"));
        let standalone = client.get().await.events();
        harness.far.log(&client.route, None, "hello");
        for mut events in [of_call, standalone] {
            let first = events.event().await.unwrap();
            assert!(first.id.is_some());
            assert_eq!(first.data.as_deref() == Some(""), primed, "{version}: {first:?}");
            assert_eq!(first.retry.is_some(), primed);
        }
    }
}

#[tokio::test]
async fn a_client_that_takes_json_only_gets_no_stream() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-06-18").await;
    let post = {
        let mut post = client.request(Method::POST);
        post.headers_mut().unwrap().insert("accept", "application/json".parse().unwrap());
        post.body(Body::from(call_with_progress(1, 1).to_string())).unwrap()
    };
    let http = harness.http.clone();
    let reply = crate::http::Background::run(async move { http.send(post).await });
    let request = harness.far.expect("tools/call").await;
    harness.far.progress(&request, 1);
    harness.far.answer(&request, &text("done"));
    assert_eq!(reply.join().await.json().await["result"], text("done"));
}

#[tokio::test]
async fn a_notification_before_the_answer_makes_the_reply_a_stream() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    let (request, reply) = harness.call(&client, call_with_progress(1, 7)).await;
    harness.far.progress(&request, 1);
    let mut events = reply.join().await.events();
    harness.far.answer(&request, &text("done"));
    assert_eq!(events.message().await.unwrap().1["params"], json!({"progressToken": 7, "progress": 1}));
    assert_eq!(events.message().await.unwrap().1["result"], text("done"));
    assert_eq!(events.message().await, None);
}

/// All messages of a stream until the server ends it.
async fn messages(events: &mut crate::http::Events) -> Vec<Value> {
    let mut messages = Vec::new();
    while let Some((_, message)) = events.message().await {
        messages.push(message);
    }
    messages
}
