//! A worker is killed with calls in hand and started again with its ledger: whoever waits hears at once that they may have run.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::{
    http::{Session, call, text},
    kind::{Kind, Reached},
    process::PATIENCE,
    proxy::Proxy,
    stories,
    worker::{Intake, Server, Settings, Worker},
    world::{self, FarEnd, World},
};
use futures_util::StreamExt as _;
use serde_json::json;
use testkit::emulator::Emulator;
use tokio::time::timeout;

/// From when the worker runs again. Far below `visibility_timeout`, which is 30 s by default: nothing is given out again before.
const AT_ONCE: Duration = Duration::from_secs(5);

stories! {
    a_call_in_hand_may_have_run: worker_sqs, worker_snssqs, worker_webhook;
}

async fn a_call_in_hand_may_have_run(kind: Kind) -> Result<()> {
    let mut world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    // Once the first progress is here, the server is in the middle of it.
    let slow = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "slow", "arguments": {"seconds": 100, "progress_every": 0.1}, "_meta": {"progressToken": 1},
    }});
    let mut in_hand = session.post().json(&slow).send().await?.bytes_stream();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("notifications/progress") {
        seen.extend_from_slice(&in_hand.next().await.context("the call ended")??);
    }
    world.far_end.server.kill().await?;
    world.far_end = world.far_end.restart_server().await?;
    let rest = async {
        while let Some(chunk) = in_hand.next().await {
            seen.extend_from_slice(&chunk?);
        }
        anyhow::Ok(String::from_utf8_lossy(&seen).into_owned())
    };
    let said = timeout(AT_ONCE, rest).await.context("the client waits on")??;
    assert!(said.contains("\"session_gone\"") && said.contains("may or may not have run"), "{said}");
    assert!(!said.contains("\"result\""), "{said}");

    let again = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let after = again.answer(json!(1), "echo", json!({"text": "after"})).await?;
    assert_eq!(text(&after), Some("after"));
    let refused = session.post().json(&call(json!(2), "echo", json!({"text": "x"}))).send().await?;
    assert_eq!(refused.status(), reqwest::StatusCode::NOT_FOUND);
    let told = "mcp_worker_left_behind_total";
    assert!(world.far_end.worker()?.metric(told, "session_gone").await? > 0.0);
    if kind.is_queued() {
        acknowledged(&mut world.far_end).await?;
    }
    Ok(())
}

/// What comes again is acknowledged without another word.
async fn acknowledged(far_end: &mut FarEnd) -> Result<()> {
    let emulator = far_end.emulator()?;
    let queues = emulator.client().list_queues().send().await?;
    let names: Vec<_> = queues.queue_urls().iter().filter_map(|url| url.rsplit('/').next()).collect();
    let in_flight = || {
        names
            .iter()
            .filter_map(|name| emulator.depth(name))
            .map(|depth| depth.visible + depth.in_flight)
            .sum::<usize>()
    };
    assert!(in_flight() > 0, "the call of the dead worker is in flight");
    for name in names.iter().filter(|name| **name != "responses") {
        emulator.redeliver(name);
    }
    let left = timeout(PATIENCE, async {
        while in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    });
    left.await.context("it is not acknowledged")?;
    let redelivered = "mcp_worker_redeliveries_total";
    let worker = far_end.worker()?;
    assert!(worker.metric(redelivered, "answered_again").await? > 0.0);
    Ok(())
}

/// It does no harm twice, so the next worker does it, once the queue gives it out again.
#[tokio::test]
async fn an_initialize_in_hand_is_done_by_the_next_worker() -> Result<()> {
    let emulator = Emulator::start().await?;
    let (requests, responses) = world::queues(&emulator)?;
    let (Server::Command(fixture), _none) = Server::fixture_reached(Reached::Stdio, None).await? else {
        anyhow::bail!("no command");
    };
    let slowly = ["sh", "-c", "sleep 5; exec \"$0\""].map(str::to_owned);
    let server = Server::Command(slowly.into_iter().chain(fixture).collect());
    let intake = Intake::Sqs { endpoint: emulator.endpoint_url(), queue: requests.clone() };
    let settings =
        Settings { more_intake: "visibility_timeout = 2\n".to_owned(), ..Settings::new(intake, server) };
    let mut worker = Worker::start(&settings).await?;
    let proxy = Proxy::start(world::settings(&emulator, &requests, &responses, "")).await?;
    let url = proxy.url();
    let opening = Session::open(&url, "2025-11-25");
    let restarting = async {
        timeout(PATIENCE, async {
            while worker.metric("mcp_worker_children_started_total", "").await? < 1.0 {}
            anyhow::Ok(())
        })
        .await??;
        worker.kill().await?;
        worker.start_again().await
    };
    let (session, worker) = tokio::join!(opening, restarting);
    let (session, worker) = (session?, worker?);
    let after = session.answer(json!(1), "echo", json!({"text": "after"})).await?;
    assert_eq!(text(&after), Some("after"));
    proxy.stop().await?;
    worker.stop().await?;
    Ok(())
}
