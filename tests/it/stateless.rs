//! `stateless = true`: requests without a session, which borrow one of the pool's.

use anyhow::Result;
use e2e::{
    fixtures,
    http::{call, messages, stateless_post, text},
    kind::Kind,
    stories,
    world::World,
};
use futures_util::future::try_join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

const STATELESS: &str = "[session]\nstateless = true\n";

stories! {
    requests_need_no_session: all;
    an_official_client_needs_none: sqs, webhook;
}

async fn requests_need_no_session(kind: Kind) -> Result<()> {
    let world = World::with(kind, STATELESS).await?;
    let url = world.proxy.url();
    let ask = async |message: Value| anyhow::Ok(stateless_post(&url).json(&message).send().await?);
    let initialize = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by-hand", "version": "1"}},
    });
    let response = ask(initialize).await?;
    assert_eq!(response.headers().get("mcp-session-id"), None);
    let initialized = messages(response).await?.pop().unwrap_or_default();
    assert_eq!(initialized["result"]["serverInfo"]["name"], "fixture", "{initialized}");
    let response = ask(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
    assert_eq!(response.status(), StatusCode::ACCEPTED);

    // All with the same id, at once: each gets its own answer.
    let calls =
        (0..20).map(|number| ask(call(json!(1), "slow", json!({"seconds": 0.2, "key": number.to_string()}))));
    for response in try_join_all(calls).await? {
        let answer = messages(response).await?.pop().unwrap_or_default();
        assert_eq!(answer["id"], 1);
        assert!(text(&answer).is_some(), "{answer}");
    }
    let texts = (0..20).map(async |number| {
        let response = ask(call(json!(1), "echo", json!({"text": number.to_string()}))).await?;
        messages(response).await
    });
    for (number, seen) in try_join_all(texts).await?.into_iter().enumerate() {
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(text(&seen[0]), Some(number.to_string().as_str()));
    }
    for method in ["resources/subscribe", "logging/setLevel"] {
        let params = json!({"uri": "test://watched-resource", "level": "info"});
        let response = ask(json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params})).await?;
        let refused = messages(response).await?.pop().unwrap_or_default();
        assert_eq!(refused["error"]["code"], -32601, "{refused}");
    }
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(ask(cancel).await?.status(), StatusCode::ACCEPTED);
    // Nobody could answer the server: it is told so, and its tool ends.
    let answer =
        messages(ask(call(json!(3), "ask_elicitation", json!({"message": "m"}))).await?).await?.pop();
    let answer = answer.unwrap_or_default();
    assert!(answer["result"]["isError"] == true || answer.get("error").is_some(), "{answer}");
    Ok(())
}

async fn an_official_client_needs_none(kind: Kind) -> Result<()> {
    let world = World::with(kind, STATELESS).await?;
    let seen = fixtures::python_client("call", &world.proxy.url(), &[]).await?;
    assert_eq!(seen["echo"], "hello through the proxy");
    Ok(())
}
