//! Messages that a transport does not carry: an error that says so, and soon.

use std::time::Duration;

use anyhow::Result;
use e2e::{
    http::{Session, text},
    kind::Kind,
    stories,
    world::World,
};
use serde_json::json;

/// More than SQS and SNS take, less than the proxy's own limit.
const LARGE: usize = 3_000_000;

stories! {
    what_does_not_fit_is_refused: sqs, snssqs;
    a_worker_says_what_does_not_fit: worker_sqs, worker_snssqs;
    large_arguments_arrive: webhook, streamable_http_webhook, worker_webhook, worker_streamable_http_webhook;
}

async fn what_does_not_fit_is_refused(kind: Kind) -> Result<()> {
    let world = World::with(kind, "[session]\nrequest_timeout = 5\n").await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let refused = session.answer(json!(1), "echo", json!({"text": "x".repeat(LARGE)})).await?;
    assert_eq!(refused["error"]["data"]["reason"], "too_large", "{refused}");
    // The server cannot send this result, and says so to nobody.
    let lost = session.answer(json!(2), "big", json!({"bytes": LARGE})).await?;
    assert_eq!(lost["error"]["data"]["reason"], "timeout", "{lost}");
    let after = session.answer(json!(3), "echo", json!({"text": "after"})).await?;
    assert_eq!(text(&after), Some("after"));
    Ok(())
}

/// The answer does not fit, and its client hears that at once.
async fn a_worker_says_what_does_not_fit(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let refused = session.answer(json!(1), "echo", json!({"text": "x".repeat(LARGE)})).await?;
    assert_eq!(refused["error"]["data"]["reason"], "too_large", "{refused}");
    let lost = session.answer(json!(2), "big", json!({"bytes": LARGE}));
    let lost = tokio::time::timeout(Duration::from_secs(30), lost).await??;
    assert_eq!(lost["error"]["data"]["reason"], "too_large", "{lost}");
    let after = session.answer(json!(3), "echo", json!({"text": "after"})).await?;
    assert_eq!(text(&after), Some("after"));
    Ok(())
}

async fn large_arguments_arrive(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let large = "x".repeat(LARGE);
    let answer = session.answer(json!(1), "echo", json!({"text": large})).await?;
    assert!(text(&answer) == Some(&large), "the text is another one");
    Ok(())
}
