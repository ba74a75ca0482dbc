//! The way to the server is cut in the middle of traffic.

use std::time::Duration;

use anyhow::Result;
use e2e::{
    http::{Session, text},
    kind::Kind,
    process::PATIENCE,
    proxy::{Proxy, Settings},
    stories,
    world::{FarEnd, address},
};
use futures_util::future::join_all;
use serde_json::json;
use testkit::relay::Relay;

stories! {
    traffic_goes_on_after_an_outage: all, worker;
}

/// Every admitted request ends, with its answer or with an error, and later ones work without a restart.
async fn traffic_goes_on_after_an_outage(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start(kind).await?;
    let relay = Relay::start(address(far_end.backend.url())?).await?;
    let backend = far_end.backend.clone().through(&relay.endpoint_url());
    // Over HTTP, how long it is tried to connect.
    let timeout = if kind.is_queued() { "" } else { "timeout = 2\n" };
    let more = format!("{timeout}[session]\nrequest_timeout = 20\n");
    let proxy = Proxy::start(Settings::new(backend, &more)).await?;
    let session = Session::open(&proxy.url(), "2025-06-18").await?;

    let calls = (0..20).map(|number| {
        let session = session.clone();
        async move { session.answer(json!(number), "slow", json!({"seconds": 1})).await }
    });
    let cut = async {
        // Once traffic flows, and not before.
        while proxy.metric("mcp_proxy_backend_sends", "").await? < 10.0 {}
        relay.cut();
        if kind.is_queued() {
            // Until the proxy has tried again several times, in vain.
            while proxy.metric("mcp_proxy_backend_receive_errors_total", "").await? < 5.0 {}
        } else {
            // Until a request cannot be sent.
            let refused = session.answer(json!("cut"), "echo", json!({"text": "cut"})).await?;
            assert!(refused["error"]["data"]["reason"].is_string(), "{refused}");
        }
        anyhow::Ok(relay.restore().await?)
    };
    let (answers, cut) = tokio::join!(join_all(calls), tokio::time::timeout(PATIENCE, cut));
    cut??;
    for answer in answers {
        let answer = answer?;
        let ended = answer.get("result").is_some() || answer["error"]["data"]["reason"].is_string();
        assert!(ended, "a request ended oddly: {answer}");
    }
    let after = session.answer(json!("after"), "echo", json!({"text": "again"}));
    let after = tokio::time::timeout(Duration::from_mins(1), after).await??;
    assert_eq!(text(&after), Some("again"));
    Ok(())
}
