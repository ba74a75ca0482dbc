//! The proxy is killed in the middle of traffic and started again.

use anyhow::Result;
use e2e::{
    http::{Session, call, text},
    world::World,
};
use reqwest::StatusCode;
use serde_json::json;

/// Old sessions are unknown to the new process, which says so with 404; clients initialize again. Answers to the old process's
/// requests disturb nobody.
#[tokio::test]
async fn clients_are_told_to_initialize_again() -> Result<()> {
    let world = World::start().await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let in_flight = tokio::join!(session.answer(json!(1), "slow", json!({"seconds": 2})), async {
        // The request is with the server before the proxy dies.
        while world.emulator.depth("requests").is_some_and(|depth| depth.visible > 0)
            || world.emulator.calls().of("proxy", "SendMessage")
                + world.emulator.calls().of("proxy", "SendMessageBatch")
                < 3
        {
            tokio::task::yield_now().await;
        }
        world.proxy.crash_and_restart().await
    });
    assert!(in_flight.0.is_err(), "the connection broke with the process");
    let proxy = in_flight.1?;
    let response = session.post().json(&call(json!(2), "echo", json!({"text": "x"}))).send().await?;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let body: serde_json::Value = serde_json::from_str(&response.text().await?)?;
    assert_eq!(body["error"]["code"], -32001);

    let again = Session::open(&proxy.url(), "2025-11-25").await?;
    let after = again.answer(json!(1), "echo", json!({"text": "after"})).await?;
    assert_eq!(text(&after), Some("after"));
    Ok(())
}
