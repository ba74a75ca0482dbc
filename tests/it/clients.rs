//! Every official client, with every feature, against a real server over every backend.

use anyhow::Result;
use e2e::{
    backend::Backend,
    fixtures::{self, Served},
    http,
    kind::Kind,
    proxy::{Proxy, Settings},
    stories,
    topics::{Topics, create_queue},
    world::{FarEnd, World},
};
use rmcp::{
    ServiceExt as _,
    model::CallToolRequestParams,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};

stories! {
    the_python_sdk_sees_every_feature: all, streamable_http, worker, worker_http;
    the_python_sdk_sees_every_feature_over_stdio: all, streamable_http, worker;
    the_typescript_sdk_sees_every_feature: sqs, webhook, streamable_http_webhook, worker;
    the_python_sdk_2_falls_back_to_the_handshake: sqs, streamable_http_webhook, worker_sqs;
    the_rust_sdk_calls_a_tool: sqs, snssqs, webhook, worker_sqs;
}

async fn the_python_sdk_sees_every_feature(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let largest = kind.largest_result().to_string();
    let seen = fixtures::python_client("probe", &world.proxy.url(), &["--largest", &largest]).await?;
    assert_everything(&seen);
    assert_eq!(seen["sessions"], 12);
    world.proxy.stop().await?;
    Ok(())
}

/// A proxy for each session, as desktop clients have it: each creates and removes what it reads its answers from.
async fn the_python_sdk_sees_every_feature_over_stdio(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start(kind).await?;
    let file = Settings::new(far_end.backend.clone().with_created_queue(), "").write()?;
    let largest = kind.largest_result().to_string();
    let arguments = ["--largest", &largest, "--sessions", "3"];
    let seen = fixtures::python_stdio_client("probe", &arguments, &file.command("stdio")?).await?;
    assert_everything(&seen);
    assert_eq!(seen["sessions"], 3);
    Ok(())
}

fn assert_everything(seen: &Value) {
    assert_eq!(seen["protocol_version"], "2025-11-25");
    assert_eq!(seen["parallel"], 40);
    assert_eq!(seen["progress"], 5);
    assert_eq!(seen["logs"], 5);
}

async fn the_typescript_sdk_sees_every_feature(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let seen = fixtures::typescript_client("probe", &world.proxy.url(), &[]).await?;
    assert_eq!(seen["parallel"], 40);
    assert_eq!(seen["progress"], 5);
    assert_eq!(seen["logs"], 5);
    Ok(())
}

/// It asks `server/discover` first, and has to find out that this is the legacy era (digest, section 2.11).
async fn the_python_sdk_2_falls_back_to_the_handshake(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let seen = fixtures::python2_client(&world.proxy.url()).await?;
    assert_eq!(seen["protocol_version"], "2025-11-25");
    assert_eq!(seen["echo"], "both eras");
    Ok(())
}

async fn the_rust_sdk_calls_a_tool(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let config = StreamableHttpClientTransportConfig::with_uri(world.proxy.url());
    let transport = StreamableHttpClientTransport::with_client(http::client(), config);
    let client = ().serve(transport).await?;
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
    let world = World::of(Kind::Sqs).await?;
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
    let read_queue = create_queue(&endpoint, "requests").await?;
    create_queue(&endpoint, "responses").await?;
    let _server =
        fixtures::server(&Served::Sqs { endpoint: endpoint.clone(), queue: read_queue.clone() }).await?;
    let backend = Backend::Sqs { endpoint: endpoint.clone(), read_queue, response_queue: None };
    assert_leaves_two_queues(&endpoint, Settings::new(backend, "")).await
}

/// A second opinion on what SNS does.
#[tokio::test]
async fn topics_work_over_moto_too() -> Result<()> {
    let (_moto, endpoint) = fixtures::moto().await?;
    // The proxy's own subscription, made when it starts, is a raw one; here the envelope is taken as well.
    let topics = Topics::create(&endpoint, "requests", false).await?;
    let served = Served::SnsSqs { endpoint: endpoint.clone(), queue: topics.requests.clone() };
    let _server = fixtures::server(&served).await?;
    let backend = Backend::from(topics);
    let proxy = Proxy::start(Settings::new(backend.clone(), "")).await?;
    let seen = fixtures::python_client("probe", &proxy.url(), &["--sessions", "0"]).await?;
    assert_everything(&seen);
    proxy.stop().await?;
    assert_leaves_two_queues(&endpoint, Settings::new(backend.with_created_queue(), "")).await
}

async fn assert_leaves_two_queues(endpoint: &str, settings: Settings) -> Result<()> {
    let proxy = Proxy::start(settings).await?;
    let seen = fixtures::python_client("probe", &proxy.url(), &["--sessions", "0"]).await?;
    assert_everything(&seen);
    proxy.stop().await?;
    let left = testkit::emulator::client_for(endpoint, "test").list_queues().send().await?;
    assert_eq!(left.queue_urls().len(), 2, "the created reply queue is still there: {:?}", left.queue_urls());
    Ok(())
}
