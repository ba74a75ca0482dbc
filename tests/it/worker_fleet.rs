//! Several workers on one queue: a session's requests reach the worker that has it, whoever takes them first.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use e2e::{
    backend::Backend,
    fixtures,
    http::{Session, call, messages, text},
    kind::Kind,
    process::PATIENCE,
    proxy::{Proxy, Settings},
    stories,
    world::FarEnd,
};
use futures_util::future::try_join_all;
use serde_json::json;

/// How long it takes at the most until a worker that is gone is noticed by the others (docs/worker.md: one to two minutes), and as much
/// again for a busy machine.
const NOTICED: Duration = Duration::from_mins(4);

stories! {
    many_clients_share_two_workers: worker_sqs, worker_snssqs;
    asyncmcps_clients_share_two_workers: worker_sqs, worker_snssqs;
    a_fleet_works_over_fifo: worker_sqs, worker_snssqs;
    a_worker_that_is_gone_for_good_is_noticed: worker_sqs, worker_snssqs;
}

/// Two proxies, two workers, one queue: each client sees its own session, with everything that belongs to it.
async fn many_clients_share_two_workers(kind: Kind) -> Result<()> {
    let mut far_end = FarEnd::start(kind).await?;
    let other = far_end.another_worker().await?;
    let settings = Settings::new(far_end.backend.clone().with_created_queue(), "");
    let proxies = [Proxy::start(settings.clone()).await?, Proxy::start(settings).await?];
    let arguments = ["--clients", "8", "--calls", "6"];
    let urls = proxies.iter().map(Proxy::url).collect::<Vec<_>>();
    let seen = try_join_all(urls.iter().map(|url| fixtures::python_client("many", url, &arguments))).await?;
    assert!(seen.iter().all(|seen| seen["sessions"] == 8 && seen["calls"] == 48), "{seen:?}");
    let started = "mcp_worker_children_started_total";
    // a queue may give everything to who asks first, but not for ever
    let shared = tokio::time::timeout(PATIENCE, async {
        while far_end.worker()?.metric(started, "").await? < 1.0 || other.metric(started, "").await? < 1.0 {
            let session = Session::open(&urls[0], "2025-11-25").await?;
            let answer = session.answer(json!(1), "echo", json!({"text": "shared"})).await?;
            assert_eq!(text(&answer), Some("shared"));
        }
        anyhow::Ok(())
    });
    shared.await.context("one worker has all sessions")??;
    for proxy in proxies {
        proxy.stop().await?;
    }
    other.stop().await?;
    Ok(())
}

/// They know nothing of a worker's own queue, so what the wrong worker takes is passed on.
async fn asyncmcps_clients_share_two_workers(kind: Kind) -> Result<()> {
    let mut far_end = FarEnd::start(kind).await?;
    let other = far_end.another_worker().await?;
    // as often as it takes until one took something of the other's: a queue may give much to who asks first
    for clients in 1..=20 {
        let seen = match &far_end.backend {
            Backend::SnsSqs { endpoint, request_topic, response_topic, response_queue } => {
                let responses = response_queue.as_deref().context("a response queue")?;
                let arguments =
                    ["sns-sqs", request_topic, response_topic, responses, "--endpoint-url", endpoint];
                fixtures::asyncmcp_client(&arguments).await?
            }
            Backend::Sqs { endpoint, read_queue, response_queue } => {
                let responses = response_queue.as_deref().context("a response queue")?;
                fixtures::asyncmcp_client(&["sqs", read_queue, responses, "--endpoint-url", endpoint]).await?
            }
            backend => anyhow::bail!("there is no fleet over {backend:?}"),
        };
        assert_eq!((&seen["logs"], &seen["progress"]), (&json!(3), &json!(3)), "{seen}");
        let forwards = "mcp_worker_forwards_total";
        let passed_on = far_end.worker()?.metric(forwards, "").await? + other.metric(forwards, "").await?;
        if clients >= 4 && passed_on > 0.0 {
            return Ok(());
        }
    }
    anyhow::bail!("no worker took anything of the other's")
}

/// Calls that run beside each other in a session, elicitation and sampling among them, while two workers read the queue.
async fn a_fleet_works_over_fifo(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start_fifo(kind).await?;
    let _other = far_end.another_worker().await?;
    let proxy = Proxy::start(far_end.settings("")).await?;
    let url = Arc::<str>::from(proxy.url());
    let sessions = (0..6).map(|number| {
        let url = Arc::clone(&url);
        async move {
            let session = Session::open(&url, "2025-11-25").await?;
            let calls = (0..5).map(|call| {
                let (session, said) = (session.clone(), format!("{number}/{call}"));
                async move {
                    let answer = session.answer(json!(call), "echo", json!({"text": said})).await?;
                    assert_eq!(text(&answer), Some(said.as_str()));
                    anyhow::Ok(())
                }
            });
            try_join_all(calls).await
        }
    });
    tokio::time::timeout(Duration::from_mins(2), try_join_all(sessions)).await??;
    let seen = fixtures::python_client("probe", &proxy.url(), &["--sessions", "3"]).await?;
    assert_eq!(seen["parallel"], 40);
    Ok(())
}

/// Its session ends with an error, though nobody starts it again, and the next one is the other worker's.
async fn a_worker_that_is_gone_for_good_is_noticed(kind: Kind) -> Result<()> {
    let mut far_end = FarEnd::start(kind).await?;
    let proxy = Proxy::start(far_end.settings("")).await?;
    let lost = Session::open(&proxy.url(), "2025-11-25").await?;
    let answer = lost.answer(json!(1), "echo", json!({"text": "before"})).await?;
    assert_eq!(text(&answer), Some("before"));
    let other = far_end.another_worker().await?;
    far_end.worker()?.kill().await?;
    let asked = lost.post().timeout(NOTICED).json(&call(json!(2), "echo", json!({"text": "after"})));
    let mut answers = messages(asked.send().await?.error_for_status()?).await.context("nobody noticed")?;
    let answer = answers.pop().context("nothing came back")?;
    assert_eq!(answer["error"]["data"]["reason"], "session_gone", "{answer}");
    let next = Session::open(&proxy.url(), "2025-11-25").await?;
    let answer = next.answer(json!(1), "echo", json!({"text": "anew"})).await?;
    assert_eq!(text(&answer), Some("anew"));
    proxy.stop().await?;
    other.stop().await?;
    Ok(())
}
