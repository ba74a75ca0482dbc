//! A worker that died, and is started again with its ledger: who waits for an answer of it hears at once what became of the call, though
//! nothing is given out again.

use std::path::Path;

use proxy_core::{
    ReplyAddress,
    error::{BackendError, ErrorKind},
    id::RemoteSession,
    message::RequestId,
};
use testkit::{MemoryTransport, intake_contract::Received, memory_intake::MemoryClient};
use worker::{CallKey, SessionRecord};

use crate::bench::{Bench, Setup, context, in_time, json, ledger, reason, receive, text, tool};

const TOLD: &str = r#"mcp_worker_left_behind_total{outcome="session_gone"}"#;
const UNHEARD: &str = r#"mcp_worker_left_behind_total{outcome="unheard"}"#;
const NOT_SENT: &str = r#"mcp_worker_left_behind_total{outcome="not_sent"}"#;

fn start(transport: &MemoryTransport, file: &Path) -> Bench {
    Setup::with(r#"{"sole": true}"#).start_on(transport.clone(), transport.intake(), ledger(file))
}

/// A worker that dies with this client's call in hand, and the next one.
async fn restarted_in_a_call(folder: &Path, client: &mut MemoryClient, transport: &MemoryTransport) -> Bench {
    let bench = start(transport, &folder.join("ledger"));
    bench.open(client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(1)).await;
    bench.successor(folder)
}

fn may_have_run(answer: &Received, id: &str) {
    assert_eq!(reason(answer, id), "session_gone");
    assert!(json(answer)["error"]["message"].as_str().unwrap().contains("may or may not have run"));
}

async fn counted(bench: &Bench, metric: &str, count: u64) {
    in_time(async {
        while bench.metric(metric) != count {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_hears_at_once_that_its_call_may_have_run() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let mut client = transport.proxy();
    let next = restarted_in_a_call(folder.path(), &mut client, &transport).await;
    let answer = receive(&mut client).await;
    may_have_run(&answer, "a");
    assert!(context(&answer).gone);
    counted(&next, TOLD, 1).await;
    // given out again, it is acknowledged without another word
    transport.redeliver();
    next.wait_until_settled().await;
    assert!(client.try_receive().is_none());
    assert_eq!(next.received("tools/call"), 0);
    next.stop().await.unwrap();
    // and the next one has nothing left to say
    let last = start(&transport, &folder.path().join("copy"));
    last.open(&mut client, "session-2").await;
    assert_eq!(last.metric(TOLD), 0);
    last.stop().await.unwrap();
}

#[tokio::test]
async fn a_peer_is_told_nothing_of_ours() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let mut client = transport.peer();
    let next = restarted_in_a_call(folder.path(), &mut client, &transport).await;
    let answer = receive(&mut client).await;
    may_have_run(&answer, "a");
    assert_eq!((answer.context, answer.session.as_deref()), (None, Some("session-1")));
    next.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_was_not_sent_is_sent_at_once() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let mut client = transport.proxy();
    let bench = start(&transport, &folder.path().join("ledger"));
    bench.open(&mut client, "session-1").await;
    bench.intake.hold_replies();
    for (count, id) in ["a", "b"].into_iter().enumerate() {
        client.request("session-1", id, "tools/call", &tool("echo", r#"{"text":"hello"}"#));
        in_time(bench.intake.wait_for_held_replies(count + 1)).await;
    }
    let next = bench.successor(folder.path());
    let answer = receive(&mut client).await;
    assert_eq!(text(&answer, "a"), "hello");
    // the answer is no word of the session's end
    assert!(!context(&answer).gone);
    receive(&mut client).await;
    transport.redeliver();
    next.wait_until_settled().await;
    assert!(client.try_receive().is_none());
    next.stop().await.unwrap();
}

#[tokio::test]
async fn answers_go_out_before_the_word_that_their_session_is_gone() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let mut client = transport.proxy();
    let bench = start(&transport, &folder.path().join("ledger"));
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "begun-first", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(1)).await;
    bench.intake.hold_replies();
    client.request("session-1", "answered", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    in_time(bench.intake.wait_for_held_replies(1)).await;
    // a call that begins has all before it written down
    client.request("session-1", "begun-last", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(2)).await;
    let next = bench.successor(folder.path());
    assert_eq!(text(&receive(&mut client).await, "answered"), "hello");
    may_have_run(&receive(&mut client).await, "begun-first");
    may_have_run(&receive(&mut client).await, "begun-last");
    next.stop().await.unwrap();
}

#[tokio::test]
async fn who_cannot_be_reached_hears_by_the_redelivery() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let mut client = transport.proxy();
    let bench = start(&transport, &folder.path().join("ledger"));
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(1)).await;
    let file = bench.leave_ledger(folder.path());
    let intake = transport.intake();
    intake.fail_next_reply(BackendError::new(ErrorKind::Unavailable, "reply", "the transport is down"));
    let next = Setup::with(r#"{"sole": true}"#).start_on(transport.clone(), intake, ledger(&file));
    counted(&next, NOT_SENT, 1).await;
    assert!(client.try_receive().is_none());
    transport.redeliver();
    let answer = receive(&mut client).await;
    may_have_run(&answer, "a");
    assert!(context(&answer).gone);
    next.wait_until_settled().await;
    assert!(client.try_receive().is_none());
    next.stop().await.unwrap();
}

#[tokio::test]
async fn who_wants_no_answer_gets_none() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let mut client = transport.proxy();
    let bench = start(&transport, &folder.path().join("ledger"));
    // one call was cancelled, of another the session was ended
    bench.open(&mut client, "session-1").await;
    bench.open(&mut client, "session-2").await;
    for (count, session) in ["session-1", "session-2"].into_iter().enumerate() {
        client.request(session, "a", "tools/call", &tool("slow", "{}"));
        in_time(bench.server.wait_for_slow(count + 1)).await;
    }
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#;
    client.send(Some("session-1"), cancelled);
    client.end("session-2");
    bench.wait_until_settled().await;
    // a call that begins has all before it written down
    bench.open(&mut client, "session-3").await;
    client.request("session-3", "z", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(1)).await;
    let next = bench.successor(folder.path());
    may_have_run(&receive(&mut client).await, "z");
    next.open(&mut client, "session-4").await;
    assert_eq!(next.metric(TOLD), 1);
    assert!(client.try_receive().is_none());
    next.stop().await.unwrap();
}

/// A ledger in which calls were begun: session, number, and in which life of the session. The second is the life that is remembered, and
/// where its client is.
async fn written(file: &Path, calls: &[(&str, i64, u64)], sessions: &[(&str, u64, &ReplyAddress)]) {
    let ledger = ledger(file);
    let named = |name: &str| RemoteSession::parse(name).unwrap();
    for (session, incarnation, reply) in sessions {
        let record = SessionRecord {
            reply: (*reply).clone(),
            client_id: None,
            knows_context: true,
            payloads: None,
            incarnation: *incarnation,
        };
        ledger.remember_session(&named(session), record);
    }
    for (session, number, incarnation) in calls {
        let key = CallKey::new(&named(session), &RequestId::number(*number));
        ledger.begin(key, None, *incarnation).await.unwrap();
    }
    ledger.close().await;
}

#[tokio::test]
async fn only_the_session_that_began_a_call_hears_of_it_and_only_where_it_may() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let file = folder.path().join("ledger");
    let mut client = transport.proxy();
    let elsewhere = ReplyAddress::Sqs("https://sqs.eu-west-1.amazonaws.com/999999999999/victim".into());
    let calls = [("again", 1, 1), ("again", 2, 2), ("forgotten", 1, 1), ("outside", 1, 1)];
    let sessions = [("again", 2, client.address()), ("outside", 1, &elsewhere)];
    written(&file, &calls, &sessions).await;
    let bench = start(&transport, &file);
    let answer = receive(&mut client).await;
    assert_eq!((&json(&answer)["id"], answer.session.as_deref()), (&2.into(), Some("again")));
    counted(&bench, UNHEARD, 3).await;
    assert!(client.try_receive().is_none());
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn many_calls_are_told_and_a_client_that_is_gone_costs_the_others_nothing() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let file = folder.path().join("ledger");
    let (mut client, gone) = (transport.proxy(), transport.proxy());
    let vanished = gone.address().clone();
    drop(gone);
    let calls: Vec<_> =
        (0..1200).map(|number| (if number % 3 == 0 { "gone" } else { "here" }, number, 1)).collect();
    written(&file, &calls, &[("gone", 1, &vanished), ("here", 1, client.address())]).await;
    let bench = start(&transport, &file);
    // what comes now is served beside it
    client.initialize(Some("new"), "new");
    let (mut told, mut opened) = (std::collections::BTreeSet::new(), false);
    while told.len() < 800 || !opened {
        let answer = receive(&mut client).await;
        match json(&answer)["id"].as_i64() {
            Some(id) => assert!(told.insert(id), "{id} was told twice"),
            None => opened = true,
        }
    }
    counted(&bench, NOT_SENT, 400).await;
    assert_eq!(bench.metric(TOLD), 800);
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_not_tried_for_each_call() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let file = folder.path().join("ledger");
    let mut client = transport.proxy();
    let calls: Vec<_> = (0..60).map(|number| ("s", number, 1)).collect();
    written(&file, &calls, &[("s", 1, client.address())]).await;
    let intake = transport.intake();
    // as many as are told at once; another try would reach it
    for _ in 0..16 {
        intake.fail_next_reply(BackendError::new(ErrorKind::Unavailable, "reply", "nobody is there"));
    }
    let bench = Setup::default().start_on(transport.clone(), intake, ledger(&file));
    counted(&bench, NOT_SENT, 60).await;
    assert!(client.try_receive().is_none());
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn one_that_dies_while_it_tells_leaves_the_rest_to_the_next() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let file = folder.path().join("ledger");
    let mut client = transport.proxy();
    written(&file, &[("s", 1, 1), ("s", 2, 1)], &[("s", 1, client.address())]).await;
    let intake = transport.intake();
    intake.hold_replies();
    let bench = Setup::default().start_on(transport.clone(), intake, ledger(&file));
    in_time(bench.intake.wait_for_held_replies(2)).await;
    let next = bench.successor(folder.path());
    let mut told = Vec::new();
    for _ in 0..2 {
        told.push(json(&receive(&mut client).await)["id"].as_i64());
    }
    told.sort_unstable();
    assert_eq!(told, [Some(1), Some(2)]);
    next.stop().await.unwrap();
}
