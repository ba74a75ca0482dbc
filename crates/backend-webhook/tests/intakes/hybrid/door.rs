//! Who comes in at all, and with what.

use proxy_core::config::Secret;

use super::{CALL, SESSION, World, configured, initialize, said};
use crate::desk::in_time;

#[tokio::test]
async fn what_is_no_message_of_a_client_never_reaches_the_desk() {
    let mut world = World::with(configured(|config| config.max_message = 512)).await;
    let large = format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, "m".repeat(600));
    let bare = |body: &'static str| world.client.post(&world.url).body(body);
    let both = "application/json, text/event-stream";
    for (request, status, code) in [
        (world.post_in("{"), 400, -32700),
        (world.post_in("[]"), 400, -32600),
        (world.post_in(&large), 413, -32600),
        (world.post(CALL), 400, -32600),
        (world.post(CALL).header("mcp-session-id", "a b"), 404, -32001),
        (world.post_in(CALL).header("mcp-session-id", "two"), 400, -32600),
        (world.post(CALL).header("mcp-session-id", "s").header("mcp-protocol-version", "1"), 400, -32600),
        (
            bare(CALL).header("content-type", "application/json").header("accept", "application/json"),
            406,
            -32600,
        ),
        (
            bare(CALL).header("content-type", "application/json").header("accept", "text/event-stream"),
            406,
            -32600,
        ),
        (bare(CALL).header("content-type", "text/plain").header("accept", both), 415, -32600),
        (world.client.get(&world.url).header("accept", "application/json"), 406, -32600),
        (world.client.get(&world.url).header("accept", "text/event-stream"), 400, -32600),
        (world.client.delete(&world.url), 400, -32600),
        (world.client.put(&world.url), 405, -32600),
        (world.client.post(format!("{}/x", world.url)), 404, -32600),
    ] {
        let shown = format!("{request:?}");
        let (found, error) = said(in_time(request.send()).await.unwrap()).await;
        assert_eq!((found, error["error"]["code"].as_i64()), (status, Some(code)), "{shown} {error}");
    }
    assert!(world.arrivals.try_recv().is_err());
}

#[tokio::test]
async fn a_web_page_does_not_get_in_through_a_browser_and_nobody_without_the_token() {
    let world = World::with(configured(|config| config.auth_token = Some(Secret::new("hush")))).await;
    let initialize = initialize(None);
    for (request, status) in [
        (world.post(&initialize), 401),
        (world.post(&initialize).bearer_auth("hush").header("host", "evil.example"), 421),
        (world.post(&initialize).bearer_auth("hush").header("origin", "https://evil.example"), 403),
        (world.client.get(&world.url).header("mcp-session-id", SESSION), 401),
    ] {
        assert_eq!(said(in_time(request.send()).await.unwrap()).await.0, status);
    }
}
