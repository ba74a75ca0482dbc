//! The asyncmcp server is stopped and started again: it forgets its sessions, and drops requests of forgotten ones in silence.

use anyhow::Result;
use e2e::{
    fixtures,
    http::{Session, call, text},
    process::PATIENCE,
    world::World,
};
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test]
async fn what_is_pending_ends_with_a_clear_error() -> Result<()> {
    let mut world = World::with("[session]\nrequest_timeout = 5\n").await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let before = session.answer(json!(1), "echo", json!({"text": "before"})).await?;
    assert_eq!(text(&before), Some("before"));

    world.server.kill().await?;
    let pending = session.answer(json!(2), "echo", json!({"text": "nobody reads this"})).await?;
    assert_eq!(pending["error"]["code"], -32603, "{pending}");
    assert_eq!(pending["error"]["data"]["reason"], "timeout", "{pending}");

    world.server = fixtures::server(&world.emulator.endpoint_url(), &world.requests).await?;
    let forgotten = session.answer(json!(3), "echo", json!({"text": "the session is forgotten"})).await?;
    assert_eq!(forgotten["error"]["data"]["reason"], "timeout", "{forgotten}");

    // Nothing comes for the session any more, so it is given up: its stream ends, and its client is told to initialize again.
    let stream = session.get().send().await?;
    tokio::time::timeout(PATIENCE, stream.text()).await??;
    let given_up = session.post().json(&call(json!(4), "echo", json!({"text": "x"}))).send().await?;
    assert_eq!(given_up.status(), StatusCode::NOT_FOUND);

    let again = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let after = again.answer(json!(1), "echo", json!({"text": "after"})).await?;
    assert_eq!(text(&after), Some("after"));
    Ok(())
}
