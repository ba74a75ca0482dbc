//! What the worker's server is: a child of its own for each session, which ends with it however that ends.

use anyhow::{Context as _, Result};
use e2e::{
    http::{Session, text},
    kind::Kind,
    process::{PATIENCE, gone, kill},
    stories,
    world::World,
};
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

stories! {
    a_server_that_dies_ends_its_call_with_its_last_words: worker;
    nothing_outlives_its_session: worker_sqs, worker_webhook;
    nothing_outlives_a_worker_that_is_killed: worker_sqs, worker_streamable_http_webhook;
    a_server_sees_little_of_the_environment: worker_sqs;
    a_drained_worker_answers_what_is_in_flight: worker;
}

async fn a_server_that_dies_ends_its_call_with_its_last_words(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let other = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let ended = session.answer(json!(1), "crash", json!({"last_words": "out of ideas"})).await?;
    let said = ended["error"]["message"].as_str().unwrap_or_default();
    assert!(said.contains("out of ideas"), "{ended}");
    let unharmed = other.answer(json!(1), "echo", json!({"text": "unharmed"})).await?;
    assert_eq!(text(&unharmed), Some("unharmed"));
    // never started again in silence: what it knew is gone
    let again = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let after = again.answer(json!(1), "echo", json!({"text": "after"})).await?;
    assert_eq!(text(&after), Some("after"));
    Ok(())
}

/// The server's process, and one that it leaves behind.
async fn processes(session: &Session) -> Result<[String; 2]> {
    let server = session.answer(json!("server"), "process", json!({})).await?;
    let left = session.answer(json!("left"), "leave_child", json!({})).await?;
    let ids = [&server, &left].map(|answer| text(answer).map(str::to_owned));
    let [Some(server), Some(left)] = ids else { anyhow::bail!("no ids: {server} {left}") };
    Ok([server, left])
}

async fn nothing_outlives_its_session(kind: Kind) -> Result<()> {
    let mut world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let other = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let (ending, staying) = (processes(&session).await?, processes(&other).await?);
    assert!(session.delete().send().await?.status().is_success());
    for process in &ending {
        gone(process).await?;
    }
    let unharmed = other.answer(json!(1), "process", json!({})).await?;
    assert_eq!(text(&unharmed), Some(staying[0].as_str()));
    world.proxy.stop().await?;
    for process in &staying {
        gone(process).await.context("a proxy that ends tells the worker")?;
    }
    assert!(world.far_end.worker()?.metric("mcp_worker_children ", "").await? < 1.0);
    Ok(())
}

async fn nothing_outlives_a_worker_that_is_killed(kind: Kind) -> Result<()> {
    let mut world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let processes = processes(&session).await?;
    let worker = world.far_end.server.process().id().context("a worker that runs")?;
    kill(&worker.to_string()).await?;
    for process in &processes {
        gone(process).await?;
    }
    Ok(())
}

async fn a_server_sees_little_of_the_environment(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let answer = session.answer(json!(1), "variables", json!({})).await?;
    let names: Vec<&str> = text(&answer).unwrap_or_default().split(',').collect();
    let known = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];
    assert!(names.contains(&"PATH") && names.iter().all(|name| known.contains(name)), "{names:?}");
    Ok(())
}

/// A worker that is told to end finishes what runs, and its client has the answer.
async fn a_drained_worker_answers_what_is_in_flight(kind: Kind) -> Result<()> {
    let mut world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let (running, mut slow) = (session.clone(), JoinSet::new());
    slow.spawn(async move { running.answer(json!(1), "slow", json!({"seconds": 3})).await });
    let child = session.answer(json!(2), "process", json!({})).await?;
    // the slow one may come second
    let worker = world.far_end.worker()?;
    timeout(PATIENCE, async {
        while worker.metric("mcp_proxy_exchanges_in_flight", "").await? < 1.0 {}
        anyhow::Ok(())
    })
    .await??;
    world.far_end.server.process().terminate().await?;
    let answer = slow.join_next().await.context("a call")???;
    assert!(text(&answer).is_some(), "it was cut off: {answer}");
    assert!(world.far_end.server.process().ended().await?.success());
    gone(text(&child).context("an id")?).await?;
    if let Ok(emulator) = world.far_end.emulator() {
        let left = emulator.client().list_queues().send().await?;
        assert_eq!(left.queue_urls().len(), 2, "its own queue is still there: {:?}", left.queue_urls());
    }
    Ok(())
}
