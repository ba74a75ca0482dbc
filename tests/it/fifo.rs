//! FIFO request queues and topics: a group gives out nothing more while one of its messages is in flight.

use anyhow::Result;
use e2e::{
    fixtures,
    http::{Session, call, text},
    kind::Kind,
    process::PATIENCE,
    proxy::Proxy,
    stories,
    world::FarEnd,
};
use serde_json::json;

stories! {
    every_feature_works_over_fifo: sqs, snssqs, worker_sqs, worker_snssqs;
    a_cancellation_overtakes: sqs, snssqs, worker_sqs, worker_snssqs;
}

/// A tool that elicits has its answer overtake the call that waits for it, and calls run beside each other.
async fn every_feature_works_over_fifo(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start_fifo(kind).await?;
    let proxy = Proxy::start(far_end.settings("")).await?;
    let seen = fixtures::python_client("probe", &proxy.url(), &["--sessions", "3"]).await?;
    assert_eq!(seen["parallel"], 40);
    Ok(())
}

async fn a_cancellation_overtakes(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start_fifo(kind).await?;
    let proxy = Proxy::start(far_end.settings("")).await?;
    let session = Session::open(&proxy.url(), "2025-11-25").await?;
    let slow =
        session.post().json(&call(json!(1), "slow", json!({"seconds": 100, "key": "slow"}))).send().await?;
    let count = async |key: &str, id: u32| {
        let answer = session.answer(json!(id), "read_count", json!({"key": key})).await?;
        anyhow::Ok(text(&answer) == Some("1"))
    };
    let mut id = 10;
    tokio::time::timeout(PATIENCE, async {
        while !count("slow:started", id).await? {
            id += 1;
        }
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
        session.post().json(&cancel).send().await?.error_for_status()?;
        while !count("slow:cancelled", id).await? {
            id += 1;
        }
        anyhow::Ok(())
    })
    .await??;
    assert_eq!(e2e::http::messages(slow).await?.len(), 0, "a cancelled request is not answered");
    Ok(())
}
