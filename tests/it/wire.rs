//! What travels over the queue, read off the queue itself.

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::Message;
use e2e::{
    http::{Session, call},
    kind::Kind,
    proxy::Proxy,
    world,
};
use serde_json::{Value, json};
use testkit::emulator::Emulator;

/// Item 86 of the checklist, and more: no credential of the client's leaves the front end; ids and tokens on the wire are ours.
#[tokio::test]
async fn only_what_the_far_end_needs_travels() -> Result<()> {
    let emulator = Emulator::start().await?;
    let (requests, responses) = world::queues(&emulator)?;
    let more =
        "message_attributes = { team = \"search\" }\n[security]\nauth_token = \"a-secret-of-the-clients\"\n";
    let proxy = Proxy::start(world::settings(&emulator, &requests, &responses, more)).await?;
    let http = reqwest::Client::new();
    let initialize = json!({
        "jsonrpc": "2.0", "id": "mine", "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}, "_meta": {"progressToken": 7, "kept": [1.0]}},
    });
    let request = http
        .post(proxy.url())
        .bearer_auth("a-secret-of-the-clients")
        .header("cookie", "mcp-session-id=stolen")
        .header("accept", "application/json, text/event-stream")
        .json(&initialize)
        .send();
    let (response, received) = tokio::join!(request, receive(&emulator, &requests));
    let session = response?.headers().get("mcp-session-id").context("no session id")?.to_str()?.to_owned();
    let received = received?;
    let body = received.body().context("no body")?;
    let whole = format!("{received:?}");
    for secret in ["a-secret-of-the-clients", "stolen", session.as_str(), "\"mine\""] {
        assert!(!whole.contains(secret), "{secret} travelled: {whole}");
    }
    let message: Value = serde_json::from_str(body)?;
    assert_eq!(message["params"]["response_queue_url"], responses.as_str());
    assert_eq!(message["params"]["_meta"]["responseQueueUrl"], responses.as_str());
    assert!(body.contains("\"kept\":[1.0]"), "foreign members are kept as they are: {body}");
    let attributes = received.message_attributes().context("no attributes")?;
    let route = attributes["SessionId"].string_value().context("no session id")?;
    assert!(
        message["id"].as_str().is_some_and(|id| id.starts_with(route)),
        "the wire id names its route: {message}"
    );
    assert_eq!(message["params"]["_meta"]["progressToken"], message["id"]);
    assert_eq!(attributes["MessageType"].string_value(), Some("jsonrpc"));
    assert_eq!(attributes["Method"].string_value(), Some("initialize"));
    assert_eq!(attributes["RequestId"].string_value(), message["id"].as_str());
    assert_eq!(attributes["Timestamp"].data_type(), "Number");
    assert_eq!(attributes["team"].string_value(), Some("search"));
    assert!(attributes.contains_key("ClientId"));
    assert!(!attributes.contains_key("ProtocolVersion"), "there is none before the handshake");
    assert!(attributes.len() <= 10, "SQS refuses an eleventh attribute: {attributes:?}");
    Ok(())
}

/// Requests without a session never reach the queue.
#[tokio::test]
async fn what_is_refused_never_reaches_the_queue() -> Result<()> {
    let world = world::World::of(Kind::Sqs).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    // Once this is answered, the handshake's own messages are out.
    session.answer(json!(0), "echo", json!({"text": "x"})).await?;
    let before = world.far_end.emulator()?.calls();
    let stranger = call(json!(1), "echo", json!({"text": "x"}));
    let response = session.post().header("mcp-session-id", "another").json(&stranger).send().await?;
    assert!(response.status().is_client_error());
    let response = reqwest::Client::new().post(world.proxy.url()).json(&stranger).send().await?;
    assert!(response.status().is_client_error());
    let since = world.far_end.emulator()?.calls().since(&before);
    assert_eq!(since.of("proxy", "SendMessage") + since.of("proxy", "SendMessageBatch"), 0);
    Ok(())
}

async fn receive(emulator: &Emulator, queue: &str) -> Result<Message> {
    let received = emulator
        .client()
        .receive_message()
        .queue_url(queue)
        .wait_time_seconds(20)
        .message_attribute_names("All")
        .send()
        .await?;
    received.messages.unwrap_or_default().pop().context("nothing came")
}
