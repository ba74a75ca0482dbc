//! The way to SQS is cut in the middle of traffic.

use anyhow::Result;
use e2e::{fixtures, http::Session, process::PATIENCE, proxy::Proxy, world};
use futures_util::future::join_all;
use serde_json::json;
use testkit::{emulator::Emulator, relay::Relay};

/// Every admitted request ends, with its answer or with an error, and later ones work without a restart.
#[tokio::test]
async fn traffic_goes_on_after_an_outage() -> Result<()> {
    let emulator = Emulator::start().await?;
    let relay = Relay::start(emulator.local_addr()).await?;
    let (requests, responses) = world::queues(&emulator)?;
    let _server = fixtures::server(&emulator.endpoint_url(), &requests).await?;
    let mut settings = world::settings(&emulator, &requests, &responses, "[session]\nrequest_timeout = 20\n");
    settings.endpoint = relay.endpoint_url();
    let proxy = Proxy::start(settings).await?;
    let session = Session::open(&proxy.url(), "2025-06-18").await?;

    let calls = (0..20).map(|number| {
        let session = session.clone();
        async move { session.answer(json!(number), "slow", json!({"seconds": 1})).await }
    });
    let cut = async {
        // Once traffic flows, and not before.
        while emulator.calls().by("far") < 20 {
            tokio::task::yield_now().await;
        }
        relay.cut();
        // Until the proxy has tried again several times, in vain.
        while proxy.metric("mcp_proxy_backend_receive_errors_total", "").await? < 5.0 {}
        anyhow::Ok(relay.restore().await?)
    };
    let (answers, cut) = tokio::join!(join_all(calls), tokio::time::timeout(PATIENCE, cut));
    cut??;
    for answer in answers {
        let answer = answer?;
        let ended = answer.get("result").is_some() || answer["error"]["data"]["reason"].is_string();
        assert!(ended, "a request ended oddly: {answer}");
    }
    let after = session.answer(json!("after"), "echo", json!({"text": "again"})).await?;
    assert_eq!(e2e::http::text(&after), Some("again"));
    Ok(())
}
