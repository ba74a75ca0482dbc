//! How sessions are opened, used and ended.

use proxy_core::{
    ProxyContext, ReplyAddress,
    backend::{Disposition, Event},
    error::{BackendError, ErrorKind},
    intake::{Receipt, Refused},
};
use testkit::{MemoryTransport, intake_contract::Envelope, memory::inbound};
use worker::Ledger;

use crate::bench::{Setup, context, in_time, json, reason, receive, session_config, text, tool};

#[tokio::test]
async fn a_session_is_opened_used_and_ended() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    let opened = bench.open(&mut client, "session-1").await;
    assert_eq!(opened.session.as_deref(), Some("session-1"));
    assert_eq!(json(&opened)["id"], "session-1:0");
    assert!(json(&opened)["result"]["protocolVersion"].is_string());
    let introduction = context(&opened);
    assert_eq!((introduction.v, introduction.owner), (1, None));
    assert_eq!(introduction.eras, [Box::from("legacy")]);

    client.request("session-1", "session-1:1", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    let answer = receive(&mut client).await;
    assert_eq!(text(&answer, "session-1:1"), "hello");
    assert_eq!(answer.session.as_deref(), Some("session-1"));
    assert_eq!(context(&answer).seq, Some(0));
    bench.wait_until_settled().await;

    client.end("session-1");
    in_time(bench.intake.wait_for_closed(1)).await;
    in_time(bench.backend.wait_for_closed(1)).await;
    bench.wait_until_settled().await;
    assert_eq!(bench.metric(r#"mcp_worker_sessions_closed_total{reason="session_closed"}"#), 1);
    client.request("session-1", "session-1:2", "tools/list", "{}");
    let answer = receive(&mut client).await;
    assert_eq!(reason(&answer, "session-1:2"), "session_not_found");
    assert!(context(&answer).gone);
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_knows_no_extension_gets_none() {
    let bench = Setup::default().start();
    let mut client = bench.transport.peer();
    let opened = bench.open(&mut client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("log", r#"{"text":"hello"}"#));
    let (logged, answer) = (receive(&mut client).await, receive(&mut client).await);
    assert_eq!(json(&logged)["method"], "notifications/message");
    assert_eq!(text(&answer, "a"), "hello");
    for received in [opened, logged, answer] {
        assert_eq!(received.context, None);
        assert_eq!(received.session.as_deref(), Some("session-1"));
    }
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_without_a_proposal_gets_an_id_that_says_whose_it_is() {
    let bench = Setup::default().start();
    let mut client = bench.transport.peer();
    client.initialize(None, "a");
    let opened = receive(&mut client).await;
    let session = proxy_core::id::RouteKey::parse(opened.session.as_deref().unwrap()).unwrap();
    client.initialized(session.as_str());
    client.request(session.as_str(), "b", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    assert_eq!(text(&receive(&mut client).await, "b"), "hello");
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_where_it_is_not_allowed() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    let elsewhere = ReplyAddress::Sqs("https://sqs.elsewhere.test/1/replies-0".into());
    let beside = ProxyContext { reply: Some(elsewhere.clone()), ..client.context() };
    let body = r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#;
    let envelope = Envelope {
        reply: Some(elsewhere),
        context: Some(beside.to_json()),
        ..client.envelope(Some("session-1"), body)
    };
    bench.transport.put(envelope);
    bench.wait_until_settled().await;
    assert_eq!(bench.metric(r#"mcp_worker_refusals_total{reason="reply_not_allowed"}"#), 1);
    let beside = Some(ProxyContext { reply: None, ..client.context() }.to_json());
    bench.transport.put(Envelope { context: beside, ..client.envelope(Some("session-1"), body) });
    bench.wait_until_settled().await;
    assert_eq!(bench.metric(r#"mcp_worker_refusals_total{reason="no_reply_address"}"#), 1);
    assert_eq!(bench.worker.active_sessions(), 0);
    assert!(client.try_receive().is_none());
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_not_allowed_counts_where_there_is_no_session_too() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    let elsewhere = ReplyAddress::Sqs("https://sqs.elsewhere.test/1/replies-0".into());
    let beside = ProxyContext { reply: Some(elsewhere), ..client.context() }.to_json();
    let body = r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#;
    for (session, count) in [(Some("session-1"), 1), (None, 2)] {
        bench.transport.put(Envelope { context: Some(beside.clone()), ..client.envelope(session, body) });
        bench.wait_until_settled().await;
        assert_eq!(bench.metric(r#"mcp_worker_refusals_total{reason="reply_not_allowed"}"#), count);
    }
    assert_eq!(bench.metric(r#"mcp_worker_refusals_total{reason="session_not_found"}"#), 1);
    assert_eq!(bench.metric(r#"mcp_worker_refusals_total{reason="no_session"}"#), 1);
    assert_eq!(bench.metric(r#"mcp_worker_refusals_total{reason="no_reply_address"}"#), 0);
    assert!(client.try_receive().is_none());
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn reply_allow_replaces_the_neighbourhood() {
    let setup = Setup::with(r#"{"reply_allow": ["https://sqs.elsewhere.test/1/*"]}"#);
    let bench = setup.start();
    let mut client = bench.transport.proxy();
    client.initialize(Some("session-1"), "a");
    bench.wait_until_settled().await;
    assert_eq!(bench.metric(r#"mcp_worker_refusals_total{reason="reply_not_allowed"}"#), 1);
    assert!(client.try_receive().is_none());
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_initialize_goes_to_the_session_of_the_first() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    let first = bench.open(&mut client, "session-1").await;
    client.initialize(Some("session-1"), "session-1:0");
    let again = receive(&mut client).await;
    assert_eq!((&again.body, &again.context), (&first.body, &first.context));
    client.initialize(Some("session-1"), "session-1:9");
    assert_eq!(reason(&receive(&mut client).await, "session-1:9"), "invalid_request");
    assert_eq!((bench.worker.active_sessions(), bench.received("initialize")), (1, 1));
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn another_client_finds_no_session() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    let mut other = bench.transport.proxy();
    let body = r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#;
    let client_id = Some("other".to_owned());
    bench.transport.put(Envelope { client_id, ..other.envelope(Some("session-1"), body) });
    let answer = receive(&mut other).await;
    assert_eq!(reason(&answer, "a"), "session_not_found");
    assert_eq!(bench.metric(r#"mcp_worker_refusals_total{reason="other_client"}"#), 1);
    assert!(client.try_receive().is_none());
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_refused_is_said_in_receipts_where_there_are_any() {
    let transport = MemoryTransport::default();
    let intake = transport.intake_with_receipts();
    let bench = Setup::default().start_on(transport, intake, Ledger::in_memory().unwrap());
    let mut client = bench.transport.proxy();
    client.request("session-1", "a", "tools/list", "{}");
    assert_eq!(in_time(bench.transport.receipt()).await, Receipt::Refused(Refused::UnknownSession));
    client.send(None, r#"{"jsonrpc":"2.0","id":"b","method":"tools/list"}"#);
    assert_eq!(in_time(bench.transport.receipt()).await, Receipt::Refused(Refused::NoSession));
    client.initialize(Some("session-1"), "c");
    let receipt = in_time(bench.transport.receipt()).await;
    assert!(matches!(&receipt, Receipt::Opened(id) if id.as_str() == "session-1"), "{receipt:?}");
    assert_eq!(json(&receive(&mut client).await)["id"], "c");
    assert!(client.try_receive().is_none(), "the receipts were the answers");
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_that_its_server_lost_is_gone() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(1)).await;
    let lost = BackendError::new(ErrorKind::SessionGone, "receive", "the server has ended: out of memory");
    let route = bench.server.routes().remove(0);
    let taken = bench.server.deliver(inbound(Some(route), Event::SessionGone(lost))).await;
    assert_eq!(taken, Disposition::Accepted);
    let answer = receive(&mut client).await;
    assert_eq!(reason(&answer, "a"), "session_gone");
    assert!(context(&answer).gone);
    in_time(bench.intake.wait_for_closed(1)).await;
    client.request("session-1", "b", "tools/list", "{}");
    let answer = receive(&mut client).await;
    assert_eq!(reason(&answer, "b"), "session_not_found");
    assert!(context(&answer).gone);
    bench.wait_until_settled().await;
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_fails_is_answered_and_leaves_no_session() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    let failure = BackendError::new(ErrorKind::Config, "send", "the program of the server does not exist");
    bench.backend.fail_next_send(failure);
    client.initialize(Some("session-1"), "a");
    let answer = receive(&mut client).await;
    assert_eq!(reason(&answer, "a"), "config");
    assert!(!context(&answer).gone);
    in_time(bench.intake.wait_for_closed(1)).await;
    assert_eq!(bench.metric(r#"mcp_worker_sessions_closed_total{reason="handshake_failed"}"#), 1);
    assert!(bench.open(&mut client, "session-1").await.body.contains("protocolVersion"));
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn an_initialize_that_comes_again_meanwhile_opens_no_second_session() {
    let bench = Setup::default().start();
    let mut client = bench.transport.peer();
    bench.intake.hold_replies();
    client.initialize(None, "a");
    in_time(bench.intake.wait_for_held_replies(1)).await;
    bench.transport.redeliver();
    // it is taken before this one
    client.initialize(Some("session-2"), "b");
    in_time(bench.intake.wait_for_held_replies(2)).await;
    bench.intake.release_replies();
    let mut answered = [json(&receive(&mut client).await), json(&receive(&mut client).await)];
    answered.sort_by_key(|answer| answer["id"].to_string());
    assert_eq!((&answered[0]["id"], &answered[1]["id"]), (&"a".into(), &"b".into()));
    bench.wait_until_settled().await;
    assert_eq!((bench.worker.active_sessions(), bench.received("initialize")), (2, 2));
    assert!(client.try_receive().is_none());
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn an_idle_session_ends() {
    let bench = Setup::with(r#"{"session_timeout": "10m"}"#).start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(1)).await;
    // From here on nothing waits for the ledger, whose thread knows no paused time.
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_mins(4)).await;
    bench.server.release_slow(1);
    assert_eq!(text(&client.receive().await.unwrap(), "a"), "done");
    tokio::time::resume();
    bench.wait_until_settled().await;
    tokio::time::pause();
    let answered = tokio::time::Instant::now();
    bench.intake.wait_for_closed(1).await;
    let idle = answered.elapsed();
    assert!(idle.as_secs().abs_diff(600) <= 5, "{idle:?}");
    assert_eq!(bench.metric(r#"mcp_worker_sessions_closed_total{reason="session_idle"}"#), 1);
}

#[tokio::test]
async fn one_session_too_many_is_refused_by_the_only_worker() {
    let sessions = session_config(r#"{"max_sessions": 1}"#);
    let bench =
        Setup { sessions, config: crate::bench::worker_config(r#"{"sole": true}"#), ..Setup::default() }
            .start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    client.initialize(Some("session-2"), "a");
    assert_eq!(reason(&receive(&mut client).await, "a"), "too_many_sessions");
    bench.wait_until_settled().await;
    bench.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_session_too_many_is_left_to_other_workers_for_a_while() {
    let sessions = session_config(r#"{"max_sessions": 1}"#);
    let bench = Setup { sessions, ..Setup::default() }.start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    client.initialize(Some("session-2"), "a");
    let begun = tokio::time::Instant::now();
    assert_eq!(reason(&client.receive().await.unwrap(), "a"), "too_many_sessions");
    assert!(begun.elapsed().as_secs() >= 2, "given back twice, then answered: {:?}", begun.elapsed());
    assert_eq!(bench.metric(r#"mcp_worker_refusals_total{reason="too_many_sessions"}"#), 2);
}
