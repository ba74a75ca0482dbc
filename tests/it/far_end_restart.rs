//! The server is stopped and started again: it forgets its sessions. Over queues asyncmcp drops requests of forgotten ones in silence;
//! over HTTP the loss shows at once. Our worker says it whatever lies between.

use std::time::Duration;

use anyhow::Result;
use e2e::{
    http::{Session, call, text},
    kind::Kind,
    process::PATIENCE,
    stories,
    world::World,
};
use reqwest::StatusCode;
use serde_json::json;

/// Far below the timeout of a request, which is 300 s by default.
const AT_ONCE: Duration = Duration::from_secs(20);

stories! {
    what_is_pending_ends_with_a_clear_error: sqs, snssqs;
    a_loss_is_seen_at_once: webhook, streamable_http_webhook, streamable_http;
    a_restarted_worker_says_so: worker;
}

async fn what_is_pending_ends_with_a_clear_error(kind: Kind) -> Result<()> {
    let mut world = World::with(kind, "[session]\nrequest_timeout = 5\n").await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let before = session.answer(json!(1), "echo", json!({"text": "before"})).await?;
    assert_eq!(text(&before), Some("before"));

    world.far_end.server.kill().await?;
    let pending = session.answer(json!(2), "echo", json!({"text": "nobody reads this"})).await?;
    assert_eq!(pending["error"]["code"], -32603, "{pending}");
    assert_eq!(pending["error"]["data"]["reason"], "timeout", "{pending}");

    world.far_end = world.far_end.restart_server().await?;
    let forgotten = session.answer(json!(3), "echo", json!({"text": "the session is forgotten"})).await?;
    assert_eq!(forgotten["error"]["data"]["reason"], "timeout", "{forgotten}");

    // Nothing comes for the session any more, so it is given up: its stream ends, and its client is told to initialize again.
    let stream = session.get().send().await?;
    tokio::time::timeout(PATIENCE, stream.text()).await??;
    given_up_and_opened_again(&world, &session).await
}

async fn a_loss_is_seen_at_once(kind: Kind) -> Result<()> {
    // How long it is tried to connect.
    let mut world = World::with(kind, "timeout = 2\n").await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let before = session.answer(json!(1), "echo", json!({"text": "before"})).await?;
    assert_eq!(text(&before), Some("before"));

    // Nobody listens there any more.
    world.far_end.server.kill().await?;
    let refused = session.answer(json!(2), "echo", json!({"text": "nobody takes this"}));
    let refused = tokio::time::timeout(AT_ONCE, refused).await??;
    assert_eq!(refused["error"]["code"], -32603, "{refused}");
    assert_eq!(refused["error"]["data"]["reason"], "unavailable", "{refused}");

    // Somebody does, who does not know the session.
    world.far_end = world.far_end.restart_server().await?;
    forgotten_at_once(&session).await?;
    given_up_and_opened_again(&world, &session).await
}

/// Whatever the transport: it does not know the session any more, and every request of it is told so at once.
async fn a_restarted_worker_says_so(kind: Kind) -> Result<()> {
    let mut world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let before = session.answer(json!(1), "echo", json!({"text": "before"})).await?;
    assert_eq!(text(&before), Some("before"));
    world.far_end = world.far_end.restart_server().await?;
    forgotten_at_once(&session).await?;
    given_up_and_opened_again(&world, &session).await
}

async fn forgotten_at_once(session: &Session) -> Result<()> {
    let forgotten = session.post().json(&call(json!(3), "echo", json!({"text": "forgotten"}))).send();
    let forgotten = tokio::time::timeout(AT_ONCE, forgotten).await??;
    // The GET stream may have found out before.
    if forgotten.status() == StatusCode::OK {
        let answers = e2e::http::messages(forgotten).await?;
        let reason = answers.last().map(|answer| answer["error"]["data"]["reason"].clone());
        assert_eq!(reason, Some(json!("session_gone")), "{answers:?}");
    } else {
        assert_eq!(forgotten.status(), StatusCode::NOT_FOUND);
    }
    Ok(())
}

async fn given_up_and_opened_again(world: &World, session: &Session) -> Result<()> {
    let given_up = session.post().json(&call(json!(4), "echo", json!({"text": "x"}))).send().await?;
    assert_eq!(given_up.status(), StatusCode::NOT_FOUND);
    let again = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let after = again.answer(json!(1), "echo", json!({"text": "after"})).await?;
    assert_eq!(text(&after), Some("after"));
    Ok(())
}
