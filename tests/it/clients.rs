//! Every official client, with every feature, against a real asyncmcp server.

use anyhow::Result;
use e2e::{fixtures, proxy::Proxy, world::World};
use rmcp::{ServiceExt as _, model::CallToolRequestParams, transport::StreamableHttpClientTransport};
use serde_json::{Value, json};

#[tokio::test]
async fn the_python_sdk_sees_every_feature() -> Result<()> {
    let world = World::start().await?;
    let seen = fixtures::python_client("probe", &world.proxy.url(), &[]).await?;
    assert_eq!(seen["protocol_version"], "2025-11-25");
    assert_eq!(seen["parallel"], 40);
    assert_eq!(seen["progress"], 5);
    assert_eq!(seen["logs"], 5);
    world.proxy.stop().await?;
    Ok(())
}

#[tokio::test]
async fn the_typescript_sdk_sees_every_feature() -> Result<()> {
    let world = World::start().await?;
    let seen = fixtures::typescript_client("probe", &world.proxy.url(), &[]).await?;
    assert_eq!(seen["parallel"], 40);
    assert_eq!(seen["progress"], 5);
    assert_eq!(seen["logs"], 5);
    Ok(())
}

/// It asks `server/discover` first, and has to find out that this is the legacy era (digest, section 2.11).
#[tokio::test]
async fn the_python_sdk_2_falls_back_to_the_handshake() -> Result<()> {
    let world = World::start().await?;
    let seen = fixtures::python2_client(&world.proxy.url()).await?;
    assert_eq!(seen["protocol_version"], "2025-11-25");
    assert_eq!(seen["echo"], "both eras");
    Ok(())
}

#[tokio::test]
async fn the_rust_sdk_calls_a_tool() -> Result<()> {
    let world = World::start().await?;
    let client = ().serve(StreamableHttpClientTransport::from_uri(world.proxy.url())).await?;
    let tools = client.list_all_tools().await?;
    assert!(tools.iter().any(|tool| tool.name == "echo"));
    let arguments = json!({"text": "from Rust"});
    let Value::Object(arguments) = arguments else { unreachable!() };
    let result = client.call_tool(CallToolRequestParams::new("echo").with_arguments(arguments)).await?;
    let result = serde_json::to_value(&result)?;
    assert_eq!(result["content"][0]["text"], "from Rust");
    client.cancel().await?;
    Ok(())
}

/// That SDK resumes a stream that ended with an error and then opens a plain stream, which displaces its own live one: without
/// a limit it would reconnect for ever.
#[tokio::test]
async fn the_typescript_sdk_does_not_storm_after_an_error() -> Result<()> {
    let world = World::start().await?;
    let seen = fixtures::typescript_client("error-storm", &world.proxy.url(), &["--seconds", "60"]).await?;
    let gets = seen["gets"].as_u64().unwrap_or(u64::MAX);
    assert!(gets <= 5, "{gets} GETs in a minute: {seen}");
    assert_eq!(seen["alive"], true);
    Ok(())
}

/// A second opinion on what SQS does.
#[tokio::test]
async fn it_works_over_moto_too() -> Result<()> {
    let (_moto, endpoint) = fixtures::moto().await?;
    let sqs = testkit::emulator::client_for(&endpoint, "test");
    let mut queues = Vec::new();
    for name in ["requests", "responses"] {
        let created = sqs.create_queue().queue_name(name).send().await?;
        queues.push(created.queue_url().unwrap_or_default().to_owned());
    }
    let _server = fixtures::server(&endpoint, &queues[0]).await?;
    let proxy = Proxy::start(e2e::proxy::Settings {
        endpoint,
        read_queue: queues[0].clone(),
        response_queue: None,
        port: 0,
        more: String::new(),
    })
    .await?;
    let seen = fixtures::python_client("probe", &proxy.url(), &[]).await?;
    assert_eq!(seen["parallel"], 40);
    proxy.stop().await?;
    let left = sqs.list_queues().send().await?;
    assert_eq!(left.queue_urls().len(), 2, "the created reply queue is still there: {:?}", left.queue_urls());
    Ok(())
}
