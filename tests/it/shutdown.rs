//! SIGTERM: what is in flight is answered, what waits does not delay the end.

use std::time::Duration;

use anyhow::Result;
use e2e::{
    http::{Session, call, messages, text},
    kind::Kind,
    stories,
    world::World,
};
use reqwest::StatusCode;
use serde_json::json;

stories! {
    a_drain_answers_what_is_in_flight: all, worker;
}

async fn a_drain_answers_what_is_in_flight(kind: Kind) -> Result<()> {
    let mut world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let standalone = session.get().send().await?;
    assert_eq!(standalone.status(), StatusCode::OK);
    let request = session.post().json(&call(json!(1), "slow", json!({"seconds": 3}))).send().await?;

    world.proxy.process().terminate().await?;
    // The standalone stream ends, which is how a client sees that the drain has begun.
    tokio::time::timeout(Duration::from_secs(10), standalone.text()).await??;
    let answer = messages(request).await?.pop().unwrap_or_default();
    assert!(text(&answer).is_some(), "no answer: {answer}");

    let log = world.proxy.stop_after_signal().await?;
    assert!(!log.contains("cut off"), "something was cut off:\n{log}");
    if let Ok(emulator) = world.far_end.emulator() {
        let left = emulator.depth("responses").map(|depth| (depth.visible, depth.in_flight));
        assert_eq!(left, Some((0, 0)), "the drain leaves nothing behind, hidden or not");
    }
    Ok(())
}
