//! The far ends themselves, without a proxy: asyncmcp's own clients see what they offer.

use anyhow::Result;
use e2e::{backend::Backend, fixtures, kind::Kind, stories, world::FarEnd};

stories! {
    asyncmcps_own_client_sees_the_server: all, worker, worker_http;
}

async fn asyncmcps_own_client_sees_the_server(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start(kind).await?;
    let seen = match &far_end.backend {
        Backend::Sqs { endpoint, read_queue, response_queue } => {
            let responses = response_queue.as_deref().unwrap_or_default();
            let arguments = ["sqs", read_queue, responses, "--endpoint-url", endpoint];
            fixtures::asyncmcp_client(&arguments).await?
        }
        Backend::SnsSqs { endpoint, request_topic, response_topic, response_queue } => {
            let responses = response_queue.as_deref().unwrap_or_default();
            let arguments = ["sns-sqs", request_topic, response_topic, responses, "--endpoint-url", endpoint];
            fixtures::asyncmcp_client(&arguments).await?
        }
        Backend::Webhook { server_url } => fixtures::asyncmcp_client(&["webhook", server_url]).await?,
        Backend::StreamableHttpWebhook { server_url, .. } => {
            fixtures::asyncmcp_client(&["streamable-http-webhook", server_url]).await?
        }
    };
    assert_eq!(seen["server"], "fixture");
    assert_eq!(seen["logs"], 3);
    assert_eq!(seen["progress"], 3);
    Ok(())
}
