use std::{sync::Arc, time::Duration};

use proxy_core::{
    Media, Principal, Proxy, Reply,
    error::{BackendError, Delivery, ErrorKind},
    id::SessionId,
    message::Message,
};
use serde_json::Value;

use crate::{TestProxy, proxy};

/// Longer than the far end takes, in time that is paused.
const PATIENCE: Duration = Duration::from_secs(1);

async fn all(reply: Reply) -> Vec<Value> {
    let texts = match reply {
        Reply::Whole(texts) => texts,
        Reply::Stream(mut events) => {
            let mut texts = Vec::new();
            while let Some(event) = events.next().await {
                texts.push(event.text);
            }
            texts
        }
    };
    texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

async fn open(under_test: &TestProxy) -> SessionId {
    let proxy = &under_test.proxy;
    let text = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"t","version":"1"}}}"#;
    let Ok(Message::Request(request)) = Message::parse(text) else { panic!("no request") };
    let opened = proxy.open(&Principal::Anonymous, request, Media::Any).unwrap();
    let answers = all(opened.pending.reply(PATIENCE).await).await;
    assert_eq!(answers[0]["result"]["protocolVersion"], "2025-06-18");
    forward(proxy, &opened.session, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    under_test.server.wait_for_method("notifications/initialized").await.unwrap();
    opened.session
}

fn forward(proxy: &Arc<Proxy>, session: &SessionId, text: &str) -> Option<proxy_core::Pending> {
    let message = Message::parse(text).unwrap();
    proxy.forward(session, &Principal::Anonymous, vec![message], Media::Any).unwrap()
}

fn call(id: u32, tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{{"progressToken":"p"}}}}}}"#
    )
}

async fn ask(under_test: &TestProxy, session: &SessionId, text: &str) -> Vec<Value> {
    all(forward(&under_test.proxy, session, text).unwrap().reply(PATIENCE).await).await
}

#[tokio::test(start_paused = true)]
async fn every_tool_does_what_it_says() {
    let test = proxy();
    let session = open(&test).await;
    let listed = ask(&test, &session, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await;
    assert_eq!(listed[0]["result"]["tools"].as_array().unwrap().len(), 7);
    let echoed = ask(&test, &session, &call(2, "echo", r#"{"text":"hé\n"}"#)).await;
    assert_eq!(echoed[0]["result"]["content"][0]["text"], "hé\n");
    let logged = ask(&test, &session, &call(3, "log", r#"{"text":"l","count":2}"#)).await;
    assert_eq!(logged.len(), 3);
    assert_eq!(logged[0]["params"]["data"], "l");
    let failed = ask(&test, &session, &call(4, "fail", "{}")).await;
    assert_eq!(failed[0]["error"]["code"], super::TOOL_FAILED);
    let large = ask(&test, &session, &call(5, "big", r#"{"bytes":100000}"#)).await;
    assert_eq!(large[0]["result"]["content"][0]["text"].as_str().unwrap().len(), 100_000);
    let unknown = ask(&test, &session, r#"{"jsonrpc":"2.0","id":6,"method":"resources/list"}"#).await;
    assert_eq!(unknown[0]["error"]["code"], -32601);
    assert!(!test.server.has_seen(session.expose()));
}

#[tokio::test(start_paused = true)]
async fn slow_reports_progress_and_waits_for_its_release() {
    let test = proxy();
    let session = open(&test).await;
    let pending = forward(&test.proxy, &session, &call(1, "slow", r#"{"progress":2}"#)).unwrap();
    test.server.wait_for_slow(1).await;
    test.server.release_slow(1);
    let messages = all(pending.reply(PATIENCE).await).await;
    let tokens: Vec<_> = messages[..2].iter().map(|message| &message["params"]["progressToken"]).collect();
    assert_eq!(tokens, ["p", "p"]);
    assert_eq!(messages[2]["id"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_stops_and_the_cancellation_carries_the_wire_id() {
    let test = proxy();
    let session = open(&test).await;
    let pending = forward(&test.proxy, &session, &call(1, "slow", "{}")).unwrap();
    test.server.wait_for_slow(1).await;
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    assert!(forward(&test.proxy, &session, cancel).is_none());
    assert!(all(pending.reply(PATIENCE).await).await.is_empty());
    let cancelled = test.server.wait_for_method("notifications/cancelled").await.unwrap();
    let wire = cancelled.about.unwrap().to_string();
    assert!(cancelled.message.as_str().contains(&wire));
    crate::counted::wait_for(&test.server.shared.slow_waiting, |waiting| *waiting == 0).await;
}

#[tokio::test(start_paused = true)]
async fn ask_gets_the_clients_answer() {
    let test = proxy();
    let session = open(&test).await;
    let pending = forward(&test.proxy, &session, &call(1, "ask", "{}")).unwrap();
    let Reply::Stream(mut events) = pending.reply(PATIENCE).await else { panic!("no stream") };
    let asked: Value = serde_json::from_str(&events.next().await.unwrap().text).unwrap();
    assert_eq!(asked["method"], "roots/list");
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"roots":[]}}}}"#, asked["id"]);
    assert!(forward(&test.proxy, &session, &answer).is_none());
    let answered = events.next().await.unwrap().text;
    assert!(answered.contains("roots"), "{answered}");
}

#[tokio::test(start_paused = true)]
async fn a_restarted_server_is_silent() {
    let test = proxy();
    let session = open(&test).await;
    test.server.restart();
    let answers = ask(&test, &session, &call(1, "echo", "{}")).await;
    assert_eq!(answers[0]["error"]["data"]["reason"], "timeout");
}

#[tokio::test(start_paused = true)]
async fn sends_fail_and_wait_as_they_are_told() {
    let test = proxy();
    let session = open(&test).await;
    let error = || BackendError::new(ErrorKind::Unavailable, "send", "the way is cut");
    test.backend.fail_next_send(error());
    let answers = ask(&test, &session, &call(1, "echo", "{}")).await;
    assert_eq!(answers[0]["error"]["data"]["reason"], "unavailable");
    test.backend.fail_next_send_that_arrives(error().with_delivery(Delivery::MaybeSent));
    let answers = ask(&test, &session, &call(2, "echo", "{}")).await;
    assert_eq!(answers[0]["id"], 2);
    assert!(answers[0].get("result").is_some());
    test.backend.hold_sends();
    let pending = forward(&test.proxy, &session, &call(3, "echo", "{}")).unwrap();
    test.backend.wait_for_held_sends(1).await;
    test.backend.release_sends();
    assert_eq!(all(pending.reply(PATIENCE).await).await[0]["id"], 3);
    test.backend.set_ready(false);
    assert!(test.proxy.check().await.is_err());
}
