//! What passes between client and far end: items 36 to 41, 76, 77, 79 and 80.

use std::time::Duration;

use proxy_core::backend::Disposition;
use serde_json::{Value, json};

use crate::{
    far_end::json_of,
    harness::{Harness, Setup, call, call_with_progress, initialize, initialized, post, text},
    http::Background,
};

#[tokio::test]
async fn item_36_pings_are_answered_both_ways() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    let pong = client.post(&json!({"jsonrpc": "2.0", "id": "p", "method": "ping"})).await;
    assert_eq!(pong.json().await, json!({"jsonrpc": "2.0", "id": "p", "result": {}}));
    assert!(harness.far.has_nothing(), "a ping is answered by the hop that receives it");

    harness.far.ask(&client.route, None, &json!(41), "ping");
    let pong = json_of(&harness.far.next().await);
    assert_eq!(pong, json!({"jsonrpc": "2.0", "id": 41, "result": {}}));
}

#[tokio::test]
async fn item_37_cancelling_an_unknown_request_does_nothing() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    for id in [json!(99), json!("99"), json!(null)] {
        let reply = client.post(&cancelled(&id)).await;
        assert_eq!((reply.status.as_u16(), reply.text().await.as_str()), (202, ""));
    }
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn item_37_a_cancelled_request_gets_no_response() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-06-18").await;
    let (request, mut events) = harness.call_streaming(&client, call(1)).await;
    assert_eq!(client.post(&cancelled(&json!(1))).await.status, 202);
    let told = json_of(&harness.far.expect("notifications/cancelled").await);
    assert_eq!(told["params"]["requestId"], json_of(&request)["id"]);
    assert_eq!(harness.far.try_answer(&request, &text("too late")), Disposition::Unroutable);
    assert_eq!(events.message().await, None, "the stream closes without a response");
}

#[tokio::test]
async fn item_37_a_cancelled_request_that_waits_for_json_gets_no_response() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    let (_request, reply) = harness.call(&client, call(1)).await;
    assert_eq!(client.post(&cancelled(&json!(1))).await.status, 202);
    let reply = reply.join().await;
    assert!(reply.status.is_success());
    assert_eq!(reply.text().await, "");
}

#[tokio::test]
async fn item_38_initialize_cannot_be_cancelled() {
    let mut harness = Harness::start(Setup::streaming).await;
    let http = harness.http.clone();
    let reply = Background::run(async move { post(&http, &initialize("2025-11-25", &json!({}))).await });
    let request = harness.far.expect("initialize").await;
    let reply = reply.join().await;
    let session = reply.header("mcp-session-id").unwrap().to_owned();
    let headers = vec![("mcp-session-id", session)];
    let cancel = crate::harness::post_with(harness.http.clone(), headers, cancelled(&json!("init"))).await;
    assert_eq!(cancel.status, 202);
    assert!(harness.far.has_nothing());
    harness.far.answer(&request, &initialized("2025-11-25"));
    let (_, answer) = reply.events().message().await.unwrap();
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
}

#[tokio::test(start_paused = true)]
async fn item_38_a_handshake_that_times_out_is_not_cancelled_either() {
    let mut harness = Harness::start(|setup| {
        setup.in_memory();
        setup.session.request_timeout = Duration::from_secs(5);
    })
    .await;
    let http = harness.http.clone();
    let reply = Background::run(async move { post(&http, &initialize("2025-11-25", &json!({}))).await });
    harness.far.expect("initialize").await;
    let answer = reply.join().await.json().await;
    assert_eq!(answer["error"]["data"]["reason"], "timeout");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("initialize again"), "{message}");
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn item_39_a_server_request_comes_on_its_posts_stream_and_its_answer_keeps_the_id() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    let mut standalone = client.get().await.events();
    let (request, reply) = harness.call(&client, call(1)).await;
    let (_other, _other_reply) = harness.call(&client, call(2)).await;
    for id in [json!(5), json!("5")] {
        harness.far.ask(&client.route, Some(&request), &id, "sampling/createMessage");
    }
    let mut events = reply.join().await.events();
    for id in [json!(5), json!("5")] {
        let (_, asked) = events.message().await.unwrap();
        assert_eq!((&asked["method"], &asked["id"]), (&json!("sampling/createMessage"), &id));
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"role": "assistant"}});
        assert_eq!(client.post(&answer).await.status, 202);
        assert_eq!(json_of(&harness.far.next().await), answer);
    }
    harness.far.answer(&request, &text("done"));
    assert_eq!(events.message().await.unwrap().1["id"], 1);
    assert!(client.delete().await.status.is_success());
    assert_eq!(standalone.message().await, None);
}

#[tokio::test]
async fn item_40_a_client_is_asked_only_what_it_declared() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open_with("2025-06-18", &json!({"roots": {}}), &[]).await;
    let (request, mut events) = harness.call_streaming(&client, call(1)).await;
    for (number, method) in ["sampling/createMessage", "elicitation/create"].into_iter().enumerate() {
        harness.far.ask(&client.route, Some(&request), &json!(number), method);
        let refused = json_of(&harness.far.next().await);
        assert_eq!(refused["id"], json!(number));
        assert!(refused["error"]["code"].is_i64(), "{refused}");
    }
    harness.far.ask(&client.route, Some(&request), &json!("r"), "roots/list");
    assert_eq!(events.message().await.unwrap().1["method"], "roots/list");
}

#[tokio::test]
async fn item_41_an_unknown_method_is_an_error_of_the_servers_with_http_200() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "no/such/method"});
    let (request, reply) = harness.call(&client, body).await;
    harness.far.fail(&request, -32601, "Method not found");
    let reply = reply.join().await;
    assert_eq!(reply.status, 200);
    let answer = reply.json().await;
    assert_eq!(
        answer,
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "Method not found"}})
    );
}

#[tokio::test]
async fn item_76_ids_come_back_with_value_and_type() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    let ids = [json!(1), json!("1"), json!(-7), json!("äöü \" \\"), json!(9_007_199_254_740_993_i64)];
    let mut pending = Vec::new();
    for id in &ids {
        pending.push(harness.call(&client, call(id.clone())).await);
    }
    let wire: Vec<Value> = pending.iter().map(|(request, _)| json_of(request)["id"].clone()).collect();
    assert!((1..wire.len()).all(|index| !wire[..index].contains(&wire[index])), "{wire:?}");
    for ((request, _), id) in pending.iter().zip(&ids).rev() {
        harness.far.answer(request, &text(&id.to_string()));
    }
    for ((_, reply), id) in pending.into_iter().zip(ids) {
        let answer = reply.join().await.json().await;
        assert_eq!((&answer["id"], &answer["result"]), (&id, &text(&id.to_string())));
    }
}

#[tokio::test]
async fn item_77_the_same_progress_token_of_two_clients_does_not_cross() {
    let mut harness = Harness::start(Setup::streaming).await;
    let mut calls = Vec::new();
    for progress in [10, 20] {
        let client = harness.open("2025-06-18").await;
        let (request, events) = harness.call_streaming(&client, call_with_progress(1, "token")).await;
        calls.push((request, events, progress));
    }
    for (request, _, progress) in &calls {
        harness.far.progress(request, *progress);
        harness.far.answer(request, &text("done"));
    }
    for (_, mut events, progress) in calls {
        let (_, message) = events.message().await.unwrap();
        assert_eq!(message["params"], json!({"progressToken": "token", "progress": progress}));
        assert_eq!(events.message().await.unwrap().1["id"], 1);
        assert_eq!(events.message().await, None);
    }
}

#[tokio::test]
async fn item_79_no_progress_comes_after_the_response() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-06-18").await;
    let mut standalone = client.get().await.events();
    let (request, mut events) = harness.call_streaming(&client, call_with_progress(1, 1)).await;
    harness.far.progress(&request, 1);
    harness.far.answer(&request, &text("done"));
    assert_eq!(harness.far.try_progress(&request, 2), Disposition::Unroutable);
    assert_eq!(events.message().await.unwrap().1["params"]["progress"], 1);
    assert_eq!(events.message().await.unwrap().1["result"], text("done"));
    assert_eq!(events.message().await, None);
    harness.far.log(&client.route, None, "marker");
    assert_eq!(standalone.message().await.unwrap().1["params"]["data"], "marker");
}

#[tokio::test]
async fn item_80_duplicate_and_late_answers_do_not_reach_the_client() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-06-18").await;
    let mut standalone = client.get().await.events();
    let (request, mut events) = harness.call_streaming(&client, call(1)).await;
    harness.far.answer(&request, &text("first"));
    assert_ne!(harness.far.try_answer(&request, &text("second")), Disposition::Foreign);
    assert_eq!(events.message().await.unwrap().1["result"], text("first"));
    assert_eq!(events.message().await, None);
    assert_ne!(harness.far.try_answer(&request, &text("third")), Disposition::Foreign);

    let (request, mut events) = harness.call_streaming(&client, call(1)).await;
    harness.far.answer(&request, &text("fourth"));
    assert_eq!(events.message().await.unwrap().1["result"], text("fourth"));
    harness.far.log(&client.route, None, "marker");
    assert_eq!(standalone.message().await.unwrap().1["params"]["data"], "marker");
}

fn cancelled(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
}
