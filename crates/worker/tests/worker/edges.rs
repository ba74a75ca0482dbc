//! What comes at an awkward time, or from somebody who should not have it.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use proxy_core::{
    ProxyContext,
    backend::{Disposition, Event, Limits},
    error::{BackendError, ErrorKind},
    id::RemoteSession,
    intake::{Arrival, ArrivalEvent, Delivery, Desk, Intake, Reply, Settled, Stopping},
    message::Message,
};
use testkit::{
    MemoryIntake, MemoryTransport, intake_contract::Envelope, memory::inbound, memory_intake::MemoryClient,
};

use crate::bench::{Bench, Setup, context, in_time, json, ledger, reason, receive, text, tool};

/// A failure of the transport's that passes.
fn down() -> BackendError {
    BackendError::new(ErrorKind::Unavailable, "reply", "the transport is down")
}

/// A call of `echo` in `session-1`, given out so often.
fn call(client: &MemoryClient, id: &str, receive_count: u32) -> Arrival {
    let params = tool("echo", r#"{"text":"hello"}"#);
    let body = format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{params}}}"#);
    Arrival {
        session: Some(RemoteSession::parse("session-1").unwrap()),
        client_id: Some("memory".into()),
        version: None,
        reply: None,
        context: Some(client.context()),
        delivery: Delivery {
            message_id: Some(id.into()),
            receive_count,
            sent: SystemTime::now(),
            to_owner: false,
        },
        event: ArrivalEvent::Message(Message::parse(body).unwrap()),
    }
}

#[tokio::test]
async fn a_call_that_comes_again_while_the_worker_drains_is_not_said_not_to_have_run() {
    let bench = Setup::default().start_in_fleet(&MemoryTransport::default());
    let mut client = bench.transport.proxy();
    client.go_to(bench.intake.owner().unwrap());
    bench.open(&mut client, "session-1").await;
    bench.wait_until_settled().await;
    client.request("session-1", "s", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(1)).await;
    bench.intake.fail_next_reply(down());
    client.request("session-1", "a", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    while bench.metric(r#"mcp_worker_reply_failures_total{error_type="unavailable"}"#) == 0 {
        tokio::task::yield_now().await;
    }
    bench.shutdown.cancel();
    while !bench.worker.is_draining() {
        tokio::task::yield_now().await;
    }
    bench.transport.redeliver();
    assert_eq!(text(&receive(&mut client).await, "a"), "hello");
    bench.server.release_slow(1);
    assert_eq!(text(&receive(&mut client).await, "s"), "done");
    assert!(client.try_receive().is_none());
    assert_eq!(bench.received("tools/call"), 2);
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_that_comes_again_is_not_said_not_to_have_run_because_too_much_waits() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    bench.wait_until_settled().await;
    // nothing else runs between these, so the session cannot take its mail
    let mut settled = Vec::new();
    for number in 0..300 {
        settled.push(bench.worker.take(call(&client, &number.to_string(), 1)).settled);
    }
    let again = bench.worker.take(call(&client, "again", 2)).settled;
    assert!(matches!(in_time(again).await, Settled::GiveBack(_)));
    for settled in settled {
        in_time(settled).await;
    }
    for _ in 0..300 {
        assert_ne!(json(&receive(&mut client).await)["id"], "again");
    }
    assert!(client.try_receive().is_none());
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_that_may_have_run_is_said_to_though_its_session_ends_before_it_is_looked_at() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    client.initialize(Some("session-1"), "i");
    receive(&mut client).await;
    bench.wait_until_settled().await;
    // both wait for the handshake
    let taken = bench.worker.take(call(&client, "a", 2)).settled;
    let fresh = bench.worker.take(call(&client, "b", 1)).settled;
    let lost = BackendError::new(ErrorKind::SessionGone, "receive", "the server has ended: out of memory");
    let route = bench.server.routes().remove(0);
    let taken_back = bench.server.deliver(inbound(Some(route), Event::SessionGone(lost))).await;
    assert_eq!(taken_back, Disposition::Accepted);
    client.send(Some("session-1"), r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#);
    let mut answers = [receive(&mut client).await, receive(&mut client).await];
    answers.sort_by_key(|answer| json(answer)["id"].to_string());
    assert_eq!(reason(&answers[0], "a"), "session_gone");
    assert!(json(&answers[0])["error"]["message"].as_str().unwrap().contains("may or may not have run"));
    assert_eq!(reason(&answers[1], "b"), "session_not_found");
    assert!(answers.iter().all(|answer| context(answer).gone));
    assert_eq!((in_time(taken).await, in_time(fresh).await), (Settled::Done, Settled::Done));
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_said_to_be_each_time() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    // that of the error that stands in for it
    bench.intake.fail_next_reply(down());
    client.request("session-1", "a", "tools/call", &tool("big", r#"{"bytes":2000000}"#));
    assert_eq!(reason(&receive(&mut client).await, "a"), "too_large");
    bench.wait_until_settled().await;
    assert_eq!((bench.received("tools/call"), bench.transport.dead_letters().len()), (1, 0));
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn what_comes_after_a_sessions_end_is_answered() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    bench.wait_until_settled().await;
    client.end("session-1");
    client.request("session-1", "a", "tools/list", "{}");
    assert_eq!(reason(&receive(&mut client).await, "a"), "session_not_found");
    bench.wait_until_settled().await;
    bench.open(&mut client, "session-1").await;
    bench.wait_until_settled().await;
    client.end("session-1");
    client.initialize(Some("session-1"), "b");
    let opened = json(&receive(&mut client).await);
    assert_eq!((&opened["id"], opened["result"].is_object()), (&"b".into(), true));
    client.initialized("session-1");
    client.request("session-1", "c", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    assert_eq!(text(&receive(&mut client).await, "c"), "hello");
    assert_eq!(bench.worker.active_sessions(), 1);
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn who_leaves_out_the_client_id_is_another_client() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    let mut other = bench.transport.proxy();
    let unnamed = |body: &str| Envelope { client_id: None, ..other.envelope(Some("session-1"), body) };
    bench.transport.put(unnamed(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#));
    let end = ProxyContext { end: true, ..other.context() };
    bench.transport.put(Envelope { context: Some(end.to_json()), ..unnamed(ProxyContext::END) });
    assert_eq!(reason(&receive(&mut other).await, "a"), "session_not_found");
    bench.wait_until_settled().await;
    assert_eq!(bench.worker.active_sessions(), 1);
    // a session that was opened without one has none to compare
    let opening = other.envelope(
        Some("session-2"),
        r#"{"jsonrpc":"2.0","id":"b","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#,
    );
    bench.transport.put(Envelope { client_id: None, ..opening });
    assert!(json(&receive(&mut other).await)["result"].is_object());
    other.initialized("session-2");
    other.request("session-2", "c", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    assert_eq!(text(&receive(&mut other).await, "c"), "hello");
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_kept_goes_nowhere_but_to_its_session() {
    let folder = tempfile::tempdir().unwrap();
    let transport = MemoryTransport::default();
    let intake = transport.intake();
    let sole = r#"{"sole": true}"#;
    let bench: Bench = Setup::with(sole).start_on(transport, intake, ledger(&folder.path().join("ledger")));
    let (mut client, mut other) = (bench.transport.proxy(), bench.transport.proxy());
    bench.open(&mut client, "session-1").await;
    let echo = tool("echo", r#"{"text":"hello"}"#);
    client.request("session-1", "a", "tools/call", &echo);
    assert_eq!(text(&receive(&mut client).await, "a"), "hello");
    bench.wait_until_settled().await;
    // while the session lives
    other.request("session-1", "a", "tools/call", &echo);
    assert_eq!(text(&receive(&mut client).await, "a"), "hello");
    other.initialize(Some("session-1"), "session-1:0");
    assert_eq!(json(&receive(&mut client).await)["id"], "session-1:0");
    bench.wait_until_settled().await;
    // and when its worker is no more
    bench.crash();
    std::fs::copy(folder.path().join("ledger"), folder.path().join("copy")).unwrap();
    let transport = bench.transport.clone();
    let intake = transport.intake();
    let next = Setup::with(sole).start_on(transport, intake, ledger(&folder.path().join("copy")));
    other.request("session-1", "a", "tools/call", &echo);
    assert_eq!(text(&receive(&mut client).await, "a"), "hello");
    next.wait_until_settled().await;
    assert!(other.try_receive().is_none());
    next.stop().await.unwrap();
}

#[tokio::test]
async fn names_that_are_longer_than_anyone_needs_are_refused() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    let body = r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#;
    let client_id = Some("c".repeat(2000));
    bench.transport.put(Envelope { client_id, ..client.envelope(Some("session-1"), body) });
    assert_eq!(reason(&receive(&mut client).await, "a"), "invalid_request");
    bench.open(&mut client, "session-1").await;
    let long = "x".repeat(2000);
    client.request("session-1", &long, "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    assert_eq!(reason(&receive(&mut client).await, &long), "invalid_request");
    assert_eq!((bench.worker.active_sessions(), bench.received("tools/call")), (1, 0));
    bench.stop().await.unwrap();
}

/// Panics over every answer to a call, as a bug in a client of AWS's might make it.
#[derive(Debug)]
struct Panicking(Arc<MemoryIntake>);

#[async_trait]
impl Intake for Panicking {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn limits(&self) -> Limits {
        self.0.limits()
    }

    fn has_receipts(&self) -> bool {
        self.0.has_receipts()
    }

    fn neighbourhood(&self) -> Vec<String> {
        self.0.neighbourhood()
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.0.check().await
    }

    async fn run(&self, desk: Arc<dyn Desk>, stopping: Stopping) -> Result<(), BackendError> {
        self.0.run(desk, stopping).await
    }

    async fn reply(&self, reply: Reply) -> Result<(), BackendError> {
        assert!(!reply.message.as_str().contains("panic over this"), "as it was asked to");
        self.0.reply(reply).await
    }

    async fn forward(&self, owner: &str, arrival: &Arrival) -> Result<(), BackendError> {
        self.0.forward(owner, arrival).await
    }

    async fn close(&self, session: &RemoteSession) {
        self.0.close(session).await;
    }
}

#[tokio::test]
async fn an_exchange_that_panics_does_not_stay_hidden() {
    let bench =
        Setup { disguise: |intake| Arc::new(Panicking(intake)), ..Setup::with(r#"{"sole": true}"#) }.start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    bench.wait_until_settled().await;
    let mut arrival = call(&client, "a", 1);
    let body = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"echo","arguments":{"text":"panic over this"}}}"#;
    arrival.event = ArrivalEvent::Message(Message::parse(body).unwrap());
    assert!(matches!(in_time(bench.worker.take(arrival).settled).await, Settled::GiveBack(_)));
    client.request("session-1", "b", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    assert_eq!(text(&receive(&mut client).await, "b"), "hello");
    bench.stop().await.unwrap();
}
