//! Nothing runs twice.

use std::{path::Path, time::SystemTime};

use proxy_core::{
    id::RemoteSession,
    intake::{Arrival, ArrivalEvent, Delivery, Desk, Settled},
    message::Message,
};
use testkit::{MemoryTransport, intake_contract::Envelope};

use crate::bench::{Bench, Setup, context, in_time, json, ledger, reason, receive, text, tool};

/// A second worker where the first one was, after that died: with what its file says, and all that it had in hand is given out again.
fn successor(dead: &Bench, folder: &Path) -> Bench {
    let next = dead.successor(folder);
    next.transport.redeliver();
    next
}

fn first(folder: &Path) -> Bench {
    let transport = MemoryTransport::default();
    let intake = transport.intake();
    Setup::with(r#"{"sole": true}"#).start_on(transport, intake, ledger(&folder.join("ledger")))
}

#[tokio::test]
async fn a_call_that_comes_again_while_it_runs_gets_one_answer() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(1)).await;
    bench.transport.redeliver();
    client.request("session-1", "b", "ping", "{}");
    assert_eq!(json(&receive(&mut client).await)["id"], "b");
    bench.server.release_slow(2);
    assert_eq!(text(&receive(&mut client).await, "a"), "done");
    bench.wait_until_settled().await;
    assert!(client.try_receive().is_none());
    assert_eq!(bench.received("tools/call"), 1);
    assert_eq!(bench.metric(r#"mcp_worker_redeliveries_total{outcome="shared"}"#), 1);
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_that_comes_again_after_its_answer_gets_it_again() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    for _ in 0..2 {
        client.request("session-1", "a", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
        assert_eq!(text(&receive(&mut client).await, "a"), "hello");
        bench.wait_until_settled().await;
    }
    assert_eq!(bench.received("tools/call"), 1);
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_that_a_dead_worker_had_begun_may_have_run() {
    let folder = tempfile::tempdir().unwrap();
    let bench = first(folder.path());
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("slow", "{}"));
    in_time(bench.server.wait_for_slow(1)).await;
    let next = successor(&bench, folder.path());
    let answer = receive(&mut client).await;
    assert_eq!(reason(&answer, "a"), "session_gone");
    assert!(json(&answer)["error"]["message"].as_str().unwrap().contains("may or may not have run"));
    assert!(context(&answer).gone);
    next.wait_until_settled().await;
    // the session can be begun anew, under the same name
    next.open(&mut client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    assert_eq!(text(&receive(&mut client).await, "a"), "hello");
    next.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_a_dead_worker_could_not_send_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let bench = first(folder.path());
    let mut client = bench.transport.peer();
    bench.open(&mut client, "session-1").await;
    bench.intake.hold_replies();
    client.request("session-1", "a", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    in_time(bench.intake.wait_for_held_replies(1)).await;
    // the answer is written down while it is sent: in order with this
    client.request("session-1", "b", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    in_time(bench.intake.wait_for_held_replies(2)).await;
    let next = successor(&bench, folder.path());
    let answer = receive(&mut client).await;
    assert_eq!(text(&answer, "a"), "hello");
    assert_eq!(next.received("tools/call"), 0);
    next.stop().await.unwrap();
}

#[tokio::test]
async fn a_peer_hears_that_its_session_is_gone_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let bench = first(folder.path());
    let mut client = bench.transport.peer();
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "0", "tools/call", &tool("echo", "{}"));
    let answer = receive(&mut client).await;
    bench.wait_until_settled().await;
    let next = successor(&bench, folder.path());
    // that it was sent is lost with the process
    assert_eq!(receive(&mut client).await, answer);
    client.request("session-1", "a", "tools/list", "{}");
    let answer = receive(&mut client).await;
    assert_eq!(reason(&answer, "a"), "session_not_found");
    assert_eq!(answer.context, None);
    // another client does not, and nobody hears of a session that never was
    let client_id = Some("other".to_owned());
    let body = r#"{"jsonrpc":"2.0","id":"b","method":"tools/list"}"#;
    next.transport.put(Envelope { client_id, ..client.envelope(Some("session-1"), body) });
    client.request("session-2", "c", "tools/list", "{}");
    next.wait_until_settled().await;
    assert!(client.try_receive().is_none());
    assert_eq!(next.metric(r#"mcp_worker_refusals_total{reason="no_reply_address"}"#), 2);
    next.stop().await.unwrap();
}

/// Takes a call of `echo` under this id that was given out so often.
async fn take(bench: &Bench, id: &str, receive_count: u32, sent: SystemTime) -> Settled {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{}}}"#,
        tool("echo", r#"{"text":"hello"}"#)
    );
    let arrival = Arrival {
        session: Some(RemoteSession::parse("session-1").unwrap()),
        client_id: Some("memory".into()),
        version: None,
        reply: None,
        context: None,
        delivery: Delivery { message_id: Some(id.into()), receive_count, sent, to_owner: false },
        event: ArrivalEvent::Message(Message::parse(body).unwrap()),
    };
    in_time(bench.worker.take(arrival).settled).await
}

#[tokio::test]
async fn a_call_that_was_given_out_before_runs_only_where_that_is_sure() {
    for (config, sent, expected) in [
        // on a fleet another worker may have begun it
        ("{}", SystemTime::now(), Err("may_have_run")),
        (r#"{"rerun_tools": ["echo"]}"#, SystemTime::now(), Ok("hello")),
        // the ledger would know it, unless it is younger
        (r#"{"sole": true}"#, SystemTime::now(), Ok("hello")),
        (r#"{"sole": true}"#, SystemTime::UNIX_EPOCH, Err("may_have_run")),
        (r#"{"sole": true, "max_receives": 1}"#, SystemTime::now(), Err("out_of_receives")),
    ] {
        let bench = Setup::with(config).start();
        let mut client = bench.transport.proxy();
        bench.open(&mut client, "session-1").await;
        let sent = if sent == SystemTime::UNIX_EPOCH { sent } else { SystemTime::now() };
        let settled = take(&bench, "a", 2, sent).await;
        let answer = receive(&mut client).await;
        match expected {
            Ok(expected) => assert_eq!(text(&answer, "a"), expected, "{config}"),
            Err(expected) => assert_eq!(reason(&answer, "a"), expected, "{config}"),
        }
        let dies = expected == Err("out_of_receives");
        assert_eq!(matches!(settled, Settled::Dead(_)), dies, "{config}: {settled:?}");
        assert_eq!(bench.received("tools/call"), usize::from(expected.is_ok()));
        bench.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_was_cancelled_and_comes_again_stays_cancelled() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    for _ in 0..2 {
        client.request("session-1", "a", "tools/call", &tool("slow", "{}"));
        if bench.received("tools/call") == 0 {
            in_time(bench.server.wait_for_slow(1)).await;
            let cancelled =
                r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#;
            client.send(Some("session-1"), cancelled);
        }
        bench.wait_until_settled().await;
    }
    assert_eq!(bench.received("tools/call"), 1);
    assert!(client.try_receive().is_none());
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_given_out_too_often_is_put_out_of_the_way() {
    let bench = Setup::with(r#"{"max_receives": 1}"#).start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    let failed = || {
        proxy_core::error::BackendError::new(
            proxy_core::error::ErrorKind::Unavailable,
            "reply",
            "the transport is down",
        )
    };
    bench.intake.fail_next_reply(failed());
    client.request("session-1", "a", "tools/list", "{}");
    bench.wait_until_settled().await;
    let letters = bench.transport.dead_letters();
    assert_eq!(letters.len(), 1);
    let said = letters[0].reason.as_deref().unwrap();
    assert!(said.contains("could not be sent") && said.contains("the transport is down"), "{said}");
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_could_not_be_sent_is_sent_later_and_not_made_again() {
    let bench = Setup::default().start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    let kind = proxy_core::error::ErrorKind::Unavailable;
    bench.intake.fail_next_reply(proxy_core::error::BackendError::new(
        kind,
        "reply",
        "the transport is down",
    ));
    client.request("session-1", "a", "tools/call", &tool("echo", r#"{"text":"hello"}"#));
    assert_eq!(text(&receive(&mut client).await, "a"), "hello");
    bench.wait_until_settled().await;
    assert_eq!(bench.received("tools/call"), 1);
    assert_eq!(bench.metric(r#"mcp_worker_redeliveries_total{outcome="answered_again"}"#), 1);
    assert_eq!(bench.metric(r#"mcp_worker_reply_failures_total{error_type="unavailable"}"#), 1);
}
