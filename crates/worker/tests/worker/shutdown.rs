//! How a worker ends.

use proxy_core::intake::Intake;
use testkit::MemoryTransport;
use worker::{Ledger, WorkerError};

use crate::bench::{Setup, in_time, reason, receive, text, tool};

#[tokio::test]
async fn what_runs_finishes_and_nothing_new_begins() {
    let bench = Setup::default().start_in_fleet(&MemoryTransport::default());
    let mut client = bench.transport.proxy();
    client.go_to(bench.intake.owner().unwrap());
    bench.open(&mut client, "session-1").await;
    for id in ["a", "b"] {
        client.request("session-1", id, "tools/call", &tool("slow", "{}"));
    }
    in_time(bench.server.wait_for_slow(2)).await;
    bench.shutdown.cancel();
    while !bench.worker.is_draining() {
        tokio::task::yield_now().await;
    }
    client.request("session-1", "c", "tools/list", "{}");
    assert_eq!(reason(&receive(&mut client).await, "c"), "draining");
    client.initialize(Some("session-2"), "d");
    assert_eq!(reason(&receive(&mut client).await, "d"), "draining");
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"b"}}"#;
    client.send(Some("session-1"), cancelled);
    in_time(bench.server.wait_for_method("notifications/cancelled")).await;
    bench.server.release_slow(1);
    assert_eq!(text(&receive(&mut client).await, "a"), "done");
    assert!(client.try_receive().is_none());
    let intake = std::sync::Arc::clone(&bench.intake);
    bench.stop().await.unwrap();
    assert_eq!(intake.closed().len(), 1);
}

#[tokio::test]
async fn a_clean_end_leaves_nothing_for_the_next_to_take_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let (transport, ledger) = (MemoryTransport::default(), Ledger::open(&path).unwrap());
    let instance = ledger.instance().clone();
    let intake = transport.intake_of(instance.clone());
    Setup::default().start_on(transport, intake, ledger).stop().await.unwrap();
    assert_ne!(*Ledger::open(&path).unwrap().instance(), instance);
}

#[tokio::test]
async fn what_does_not_finish_is_cut_off() {
    let bench = Setup { grace: std::time::Duration::from_secs(2), ..Setup::default() }.start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    client.request("session-1", "a", "tools/call", &tool("silent", "{}"));
    in_time(bench.server.wait_for_method("tools/call")).await;
    bench.shutdown.cancel();
    assert_eq!(reason(&receive(&mut client).await, "a"), "shutting_down");
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_nobody_takes_does_not_hold_up_the_end_and_is_not_lost() {
    let bench = Setup { grace: std::time::Duration::from_secs(2), ..Setup::default() }.start();
    let mut client = bench.transport.proxy();
    bench.open(&mut client, "session-1").await;
    bench.wait_until_settled().await;
    bench.intake.hold_replies();
    client.request("session-1", "a", "tools/call", &tool("echo", "{}"));
    in_time(bench.intake.wait_for_held_replies(1)).await;
    let transport = bench.transport.clone();
    let ended = bench.stop().await;
    assert!(matches!(ended, Err(WorkerError::Grace(_))), "{ended:?}");
    assert_eq!(transport.unacknowledged(), 1, "the request is given back");
}
