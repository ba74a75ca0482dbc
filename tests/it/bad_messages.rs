//! Messages put on the reply queue by hand: broken, foreign, repeated, out of order.

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::MessageAttributeValue;
use e2e::{
    http::{Session, call, messages, text},
    kind::Kind,
    proxy::Proxy,
    stories,
    world::{self, World},
};
use serde_json::{Value, json};
use testkit::emulator::Emulator;

stories! {
    nothing_on_the_queue_stops_the_poller: sqs, snssqs;
}

/// What does not parse or belongs to nobody is settled and counted; the poller goes on, and clients see none of it.
async fn nothing_on_the_queue_stops_the_poller(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let responses = world.far_end.emulator()?.queue_url("responses");
    let bad = [
        ("", ""),
        ("", "nonsense"),
        ("", "[]"),
        ("", "{\"jsonrpc\":\"2.0\"}"),
        ("", "{\"Type\":\"Notification\"}"),
        ("", "{\"Type\":\"Notification\",\"Message\":\"nonsense\",\"MessageAttributes\":{\"SessionId\":7}}"),
        ("", "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}"),
        ("not a route", "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}"),
        (
            "AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBB",
            "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"ping\"}",
        ),
        (
            "",
            "{\"jsonrpc\":\"2.0\",\"id\":\"AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBB:1\",\"result\":{}}",
        ),
    ];
    for (route, body) in bad {
        // SQS takes no empty body.
        put(world.far_end.emulator()?, &responses, route, if body.is_empty() { " " } else { body }).await?;
    }
    let answer = session.answer(json!(1), "echo", json!({"text": "still here"})).await?;
    assert_eq!(text(&answer), Some("still here"));
    let malformed = world.proxy.metric("mcp_proxy_backend_malformed", "").await?;
    assert!(malformed >= 6.0, "{malformed} malformed messages were counted");
    Ok(())
}

/// Answers that come twice, late, or for another's request, and a notification that overtakes: each client sees its answer once.
#[tokio::test]
async fn repeated_and_reordered_messages_reach_nobody_twice() -> Result<()> {
    let emulator = Emulator::start().await?;
    let (requests, responses) = world::queues(&emulator)?;
    let proxy = Proxy::start(world::settings(&emulator, &requests, &responses, "")).await?;
    let far_end = async {
        let initialize = take(&emulator, &requests).await?;
        let route = initialize.1;
        let result = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "by-hand", "version": "1"}});
        let answer = json!({"jsonrpc": "2.0", "id": initialize.0["id"], "result": result}).to_string();
        put(&emulator, &responses, &route, &answer).await?;
        put(&emulator, &responses, &route, &answer).await?;
        take(&emulator, &requests).await?;
        let (first, _) = take(&emulator, &requests).await?;
        let (second, _) = take(&emulator, &requests).await?;
        let answer = |request: &Value| {
            let said = request["params"]["arguments"]["text"].clone();
            json!({"jsonrpc": "2.0", "id": request["id"], "result": {"content": [{"type": "text", "text": said}]}}).to_string()
        };
        for body in [answer(&second), answer(&second), answer(&first), answer(&second), answer(&first)] {
            put(&emulator, &responses, &route, &body).await?;
        }
        let late = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": first["id"], "progress": 1}});
        put(&emulator, &responses, &route, &late.to_string()).await?;
        anyhow::Ok(())
    };
    let client = async {
        let session = Session::open(&proxy.url(), "2025-06-18").await?;
        let number = session.post().json(&call(json!(1), "echo", json!({"text": "number"}))).send();
        let string = session.post().json(&call(json!("1"), "echo", json!({"text": "string"}))).send();
        let (number, string) = tokio::join!(number, string);
        anyhow::Ok((session, messages(number?).await?, messages(string?).await?))
    };
    let (far_end, client) = tokio::join!(far_end, client);
    far_end?;
    let (_session, number, string) = client?;
    for (seen, id, said) in [(&number, json!(1), "number"), (&string, json!("1"), "string")] {
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0]["id"], id);
        assert_eq!(text(&seen[0]), Some(said));
    }
    Ok(())
}

/// Takes the next request off the server's queue, and the route that it names.
async fn take(emulator: &Emulator, queue: &str) -> Result<(Value, String)> {
    let sqs = emulator.client();
    let received = sqs
        .receive_message()
        .queue_url(queue)
        .wait_time_seconds(20)
        .max_number_of_messages(1)
        .message_attribute_names("All")
        .send()
        .await?;
    let message = received.messages.unwrap_or_default().pop().context("nothing came")?;
    sqs.delete_message().queue_url(queue).set_receipt_handle(message.receipt_handle.clone()).send().await?;
    let route = message.message_attributes().and_then(|attributes| attributes["SessionId"].string_value());
    Ok((
        serde_json::from_str(message.body().unwrap_or_default())?,
        route.context("no session id")?.to_owned(),
    ))
}

/// Puts a message on a queue, for the session with this route where one is named.
async fn put(emulator: &Emulator, queue: &str, route: &str, body: &str) -> Result<()> {
    let sqs = emulator.client();
    let mut message = sqs.send_message().queue_url(queue).message_body(body);
    if !route.is_empty() {
        let value = MessageAttributeValue::builder().data_type("String").string_value(route).build()?;
        message = message.message_attributes("SessionId", value);
    }
    message.send().await?;
    Ok(())
}
