//! What goes back to clients, and what came too early or too late.

use proxy_core::{
    ProxyContext,
    backend::Disposition,
    error::{BackendError, ErrorKind},
};
use testkit::intake_contract::Envelope;

use crate::bench::{Setup, context, in_time, is_message, json, reason, receive, text, tool};

#[tokio::test]
async fn what_comes_before_an_answer_says_what_it_belongs_to() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    let params = r#"{"name":"slow","arguments":{"progress":3},"_meta":{"progressToken":"token"}}"#;
    client.request("session-1", "session-1:1", "tools/call", params);
    in_time(bench.server.wait_for_slow(1)).await;
    bench.server.release_slow(1);
    for number in 1..=3 {
        let progress = receive(&mut client).await;
        assert_eq!(json(&progress)["params"]["progress"], number);
        assert_eq!(json(&progress)["params"]["progressToken"], "token");
        let beside = context(&progress);
        assert_eq!((beside.related.as_deref(), beside.seq), (Some("session-1:1"), Some(number)));
    }
    let answer = receive(&mut client).await;
    assert_eq!(text(&answer, "session-1:1"), "done");
    assert_eq!((context(&answer).related, context(&answer).seq), (None, Some(3)));
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_can_ask_the_client() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    let body = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}}}}"#;
    client.send(Some("session-1"), body);
    receive(&mut client).await;
    client.initialized("session-1");
    client.request("session-1", "a", "tools/call", &tool("ask", "{}"));
    let asked = receive(&mut client).await;
    assert_eq!(json(&asked)["method"], "roots/list");
    assert_eq!((context(&asked).related.as_deref(), context(&asked).seq), (Some("a"), Some(1)));
    let id = json(&asked)["id"].to_string();
    client.send(Some("session-1"), format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"roots":[]}}}}"#));
    let answer = receive(&mut client).await;
    assert!(text(&answer, "a").contains(r#""roots":[]"#));
    assert_eq!(context(&answer).seq, Some(1));
    bench.wait_until_settled().await;
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_said_to_have() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    let body = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"echo"}}"#;
    let late = ProxyContext { deadline: Some(1), ..client.context() };
    let envelope = Envelope { context: Some(late.to_json()), ..client.envelope(Some("session-1"), body) };
    bench.transport.put(envelope.clone());
    let answer = receive(&mut client).await;
    assert_eq!(reason(&answer, "a"), "deadline_passed");
    bench.wait_until_settled().await;
    // what was said once stays true, though it came again in time
    bench.transport.put(Envelope { context: Some(client.context().to_json()), ..envelope });
    assert_eq!(receive(&mut client).await.body, answer.body);
    assert_eq!(bench.received("tools/call"), 0);
    bench.wait_until_settled().await;
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancellation_that_overtakes_its_request_counts() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    let cancelled =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a","reason":"no"}}"#;
    client.send(Some("session-1"), cancelled);
    client.request("session-1", "a", "tools/call", &tool("echo", "{}"));
    client.request("session-1", "b", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    assert_eq!(text(&receive(&mut client).await, "b"), "hello");
    bench.wait_until_settled().await;
    assert_eq!(bench.received("tools/call"), 1);
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancellation_during_a_call_stops_it() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(1)).await;
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#;
    client.send(Some("session-1"), cancelled);
    in_time(bench.server.wait_for_method("notifications/cancelled")).await;
    bench.wait_until_settled().await;
    assert!(client.try_receive().is_none(), "a cancelled request gets no answer");
    bench.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_overtakes_initialized_waits_for_it() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    client.initialize(Some("session-1"), "i");
    client.receive().await.unwrap();
    client.request("session-1", "a", "tools/list", "{}");
    client.initialized("session-1");
    assert!(json(&client.receive().await.unwrap())["result"]["tools"].is_array());
    let methods: Vec<_> = bench
        .server
        .received()
        .iter()
        .filter_map(|outbound| outbound.message.method().map(str::to_owned))
        .collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "tools/list"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_initialized_no_longer_than_a_second() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    client.initialize(Some("session-1"), "i");
    client.receive().await.unwrap();
    let begun = tokio::time::Instant::now();
    client.request("session-1", "a", "tools/list", "{}");
    client.receive().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert_eq!(bench.received("tools/list"), 1);
}

#[tokio::test]
async fn what_belongs_to_no_request_says_so() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    client.initialize(Some("session-1"), "i");
    receive(&mut client).await;
    // one that does not wait for initialized: the worker does, a second long
    client.request("session-1", "a", "tools/list", "{}");
    receive(&mut client).await;
    client.initialized("session-1");
    in_time(bench.server.wait_for_method("notifications/initialized")).await;
    let route = bench.server.routes().remove(0);
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let taken = bench.server.return_path().send(&route, changed).await.unwrap();
    assert_eq!(taken, Disposition::Accepted);
    let notified = receive(&mut client).await;
    assert_eq!((notified.body.as_str(), notified.session.as_deref()), (changed, Some("session-1")));
    assert_eq!((context(&notified).related, context(&notified).seq), (None, None));
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_to_the_client_is_answered_for_it() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    let body = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}}}}"#;
    client.send(Some("session-1"), body);
    receive(&mut client).await;
    client.initialized("session-1");
    bench.intake.fail_next_reply(BackendError::new(ErrorKind::Unavailable, "reply", "the transport is down"));
    client.request("session-1", "a", "tools/call", &tool("ask", "{}"));
    let answer = receive(&mut client).await;
    assert!(text(&answer, "a").contains("client_not_asked"), "{answer:?}");
    assert_eq!(context(&answer).seq, Some(0), "what did not leave leaves no gap");
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_too_large_becomes_an_error() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("big", r#"{"bytes":2000000}"#));
    let answer = receive(&mut client).await;
    assert_eq!(reason(&answer, "a"), "too_large");
    let said = json(&answer)["error"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("1048576"), "{said}");
    bench.wait_until_settled().await;
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_passes_byte_for_byte() {
    let bench = Setup::default().start();
    let mut client = bench.transport.peer();
    bench.open(&mut client, "session-1").await;
    let body = r#"{ "params": {"name":"echo", "arguments":{"text":"é\u00e9 1.0e2"} , "x":1.50}, "id":"a","method":"tools/call","jsonrpc":"2.0" ,"extra":[ ]}"#;
    assert!(is_message(body));
    client.send(Some("session-1"), body);
    receive(&mut client).await;
    let seen = in_time(bench.server.wait_for_method("tools/call")).await.unwrap();
    let id = seen.message.id().unwrap().to_json();
    assert_eq!(seen.message.as_str(), body.replace(r#""a""#, &id));
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_ping_is_answered_here() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "a", "ping", "{}");
    assert_eq!(receive(&mut client).await.body, r#"{"jsonrpc":"2.0","id":"a","result":{}}"#);
    assert_eq!(bench.received("ping"), 0);
    bench.stop().await.unwrap();
}
