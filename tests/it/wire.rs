//! What travels to the far end, read off the connection or the queue itself.

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::Message;
use e2e::{
    http::{Session, call, client, messages, text},
    kind::Kind,
    proxy::{ACCESS_KEY, Proxy, Settings},
    stories,
    tap::Tap,
    world::{self, FarEnd},
};
use serde_json::{Value, json};
use testkit::emulator::Emulator;

stories! {
    neither_side_hears_the_others_names: all, streamable_http;
}

/// A client's token, cookies, headers, session id and request ids never leave the proxy; neither do route keys and wire ids come back
/// to it. All that the proxy sends to the emulator or the server is read along.
async fn neither_side_hears_the_others_names(kind: Kind) -> Result<()> {
    const SECRETS: [&str; 4] =
        ["token-of-a-client", "cookie-of-a-client", "header-of-a-client", "id-of-a-client"];
    let far_end = FarEnd::start(kind).await?;
    let tap = Tap::start(world::address(far_end.backend.url())?).await?;
    let backend = far_end.backend.clone().through(&tap.endpoint_url());
    let more = "[security]\nauth_token = \"token-of-a-client\"\n";
    let proxy = Proxy::start(Settings::new(backend, more)).await?;
    let http = client();
    let post = |message: Value| {
        let request = http.post(proxy.url()).bearer_auth(SECRETS[0]).header("cookie", SECRETS[1]);
        request
            .header("x-of-its-own", SECRETS[2])
            .header("accept", "application/json, text/event-stream")
            .json(&message)
    };
    let initialize = json!({
        "jsonrpc": "2.0", "id": SECRETS[3], "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by-hand", "version": "1"}},
    });
    let response = post(initialize).send().await?.error_for_status()?;
    let session = response.headers().get("mcp-session-id").context("no session id")?.to_str()?.to_owned();
    let mut seen = messages(response).await?;
    let initialized = post(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    initialized.header("mcp-session-id", &session).send().await?.error_for_status()?;
    let call = json!({"jsonrpc": "2.0", "id": SECRETS[3], "method": "tools/call", "params": {
        "name": "test_tool_with_progress", "arguments": {"said": "this-travels"}, "_meta": {"progressToken": SECRETS[3]},
    }});
    seen.extend(messages(post(call).header("mcp-session-id", &session).send().await?).await?);
    let answer = seen.last().context("nothing came back")?;
    assert!(text(answer).is_some() && answer["id"] == SECRETS[3], "{seen:?}");
    let delete = http.delete(proxy.url()).bearer_auth(SECRETS[0]).header("mcp-session-id", &session);
    delete.send().await?.error_for_status()?;
    proxy.stop().await?;

    let sent = tap.sent();
    assert!(sent.contains("this-travels"), "the tap sees what travels");
    for secret in SECRETS.into_iter().chain([session.as_str()]) {
        assert!(!sent.contains(secret), "{secret} travelled");
    }
    assert!(names_a_route(&sent), "the tap sees route keys");
    let seen = format!("{seen:?}");
    assert!(!names_a_route(&seen), "a client saw a route key: {seen}");
    Ok(())
}

/// Whether a route key is in it: the instance id, a dot, a random part.
fn names_a_route(text: &str) -> bool {
    let is_part = |part: &str| {
        part.len() == 22
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.')));
    words.filter_map(|word| word.rsplit_once('.')).any(|(before, after)| {
        let instance = before.get(before.len().saturating_sub(22)..).unwrap_or_default();
        is_part(instance) && after.get(..22).is_some_and(is_part)
    })
}

/// Item 86 of the checklist, and more: no credential of the client's leaves the front end; ids and tokens on the wire are ours.
#[tokio::test]
async fn only_what_the_far_end_needs_travels() -> Result<()> {
    let emulator = Emulator::start().await?;
    let (requests, responses) = world::queues(&emulator)?;
    let more =
        "message_attributes = { team = \"search\" }\n[security]\nauth_token = \"a-secret-of-the-clients\"\n";
    let proxy = Proxy::start(world::settings(&emulator, &requests, &responses, more)).await?;
    let http = client();
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
    assert!(before.of(ACCESS_KEY, "SendMessageBatch") > 0, "what is sent is seen");
    let stranger = call(json!(1), "echo", json!({"text": "x"}));
    let response = session.post().header("mcp-session-id", "another").json(&stranger).send().await?;
    assert!(response.status().is_client_error());
    let response = client().post(world.proxy.url()).json(&stranger).send().await?;
    assert!(response.status().is_client_error());
    let since = world.far_end.emulator()?.calls().since(&before);
    assert_eq!(since.of(ACCESS_KEY, "SendMessage") + since.of(ACCESS_KEY, "SendMessageBatch"), 0);
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
