//! The client of the demo: the official SDK's, over HTTP, as any other would be.

use std::time::Duration;

use anyhow::{Context, bail};
use rmcp::{
    ServiceExt as _,
    model::CallToolRequestParams,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};

use super::{trail::Stage, world::World};

/// A call, and when it was where.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) tool: &'static str,
    pub(super) arguments: Value,
    pub(super) answer: String,
    pub(super) trail: Vec<(Stage, Duration)>,
}

/// Opens a session through all of it and makes one call.
pub(super) async fn call(world: &World) -> anyhow::Result<Call> {
    let config = StreamableHttpClientTransportConfig::with_uri(world.url());
    let transport = StreamableHttpClientTransport::with_client(http()?, config);
    let client = ().serve(transport).await.context("no session could be opened through the proxy")?;
    let (tool, arguments) = ("add", json!({ "a": 19, "b": 23 }));
    let mut request = CallToolRequestParams::new(tool);
    if let Value::Object(arguments) = &arguments {
        request = request.with_arguments(arguments.clone());
    }
    world.trail().begin();
    let result = client.call_tool(request).await.with_context(|| format!("the call of {tool} failed"))?;
    let trail = world.trail().end();
    let result = serde_json::to_value(&result)?;
    let Some(answer) = result["content"][0]["text"].as_str() else { bail!("{tool} answered {result}") };
    let answer = answer.to_owned();
    client.cancel().await.context("the session could not be closed")?;
    Ok(Call { tool, arguments, answer, trail })
}

/// An HTTP client, which speaks to nobody over TLS, but cannot be built without a cryptography.
fn http() -> anyhow::Result<reqwest::Client> {
    // Somebody may have done so already.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().context("no HTTP client can be built")
}
