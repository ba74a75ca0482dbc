//! The proxy is killed in the middle of traffic and started again.

use anyhow::Result;
use e2e::{
    http::{Session, call, text},
    kind::Kind,
    stories,
    world::World,
};
use futures_util::StreamExt as _;
use reqwest::StatusCode;
use serde_json::json;

stories! {
    clients_are_told_to_initialize_again: all, worker;
}

/// Old sessions are unknown to the new process, which says so with 404; clients initialize again. Answers to the old process's
/// requests disturb nobody.
async fn clients_are_told_to_initialize_again(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    // Once the first progress is here, the server is in the middle of it.
    let slow = call(json!(1), "slow", json!({"seconds": 3, "progress_every": 0.1}));
    let slow = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "slow", "arguments": slow["params"]["arguments"], "_meta": {"progressToken": 1},
    }});
    let mut in_flight = session.post().json(&slow).send().await?.bytes_stream();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("notifications/progress") {
        seen.extend_from_slice(&in_flight.next().await.transpose()?.unwrap_or_default());
    }
    let proxy = world.proxy.crash_and_restart().await?;
    while let Some(Ok(chunk)) = in_flight.next().await {
        seen.extend_from_slice(&chunk);
    }
    assert!(!String::from_utf8_lossy(&seen).contains("\"result\""), "the connection broke with the process");
    let response = session.post().json(&call(json!(2), "echo", json!({"text": "x"}))).send().await?;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let body: serde_json::Value = serde_json::from_str(&response.text().await?)?;
    assert_eq!(body["error"]["code"], -32001);

    let again = Session::open(&proxy.url(), "2025-11-25").await?;
    let after = again.answer(json!(1), "echo", json!({"text": "after"})).await?;
    assert_eq!(text(&after), Some("after"));
    Ok(())
}
