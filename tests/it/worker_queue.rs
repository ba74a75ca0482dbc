//! What strangers put on the worker's queue: it goes on, and clients see none of it.

use anyhow::Result;
use aws_sdk_sqs::types::MessageAttributeValue;
use e2e::{
    http::{Session, text},
    kind::Kind,
    process::PATIENCE,
    stories,
    world::World,
};
use serde_json::{Value, json};
use testkit::emulator::Emulator;

stories! {
    nothing_on_the_queue_stops_a_worker: worker_sqs, worker_snssqs;
}

/// What does not parse, names no session, a stranger's, or an address that nobody may write to.
async fn nothing_on_the_queue_stops_a_worker(kind: Kind) -> Result<()> {
    let mut world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let emulator = world.far_end.emulator()?;
    let requests = emulator.queue_url("requests");
    let context = |reply: Value| json!({"v": 1, "reply": reply}).to_string();
    let elsewhere = context(json!({"sqs": "https://sqs.eu-west-1.amazonaws.com/999999999999/victim"}));
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "stranger", "version": "1"},
        "response_queue_url": "https://sqs.eu-west-1.amazonaws.com/999999999999/victim",
        "client_topic_arn": "arn:aws:sns:eu-west-1:999999999999:victim",
    }})
    .to_string();
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}).to_string();
    let bad: [(&str, &str, &str); 9] = [
        ("", "", " "),
        ("", "", "nonsense"),
        ("", "", "[]"),
        (
            "",
            "",
            "{\"Type\":\"Notification\",\"Message\":\"nonsense\",\"MessageAttributes\":{\"SessionId\":7}}",
        ),
        ("", "", &call),
        ("a-stranger", "", &call),
        ("AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBB", &elsewhere, &call),
        ("another-stranger", &elsewhere, &initialize),
        ("a-third", "{\"v\":1,\"end\":true}", "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}"),
    ];
    for (session, context, body) in bad {
        put(emulator, &requests, session, context, body).await?;
    }
    let answer = session.answer(json!(1), "echo", json!({"text": "still here"})).await?;
    assert_eq!(text(&answer), Some("still here"));
    // all of it is settled: nothing comes again for ever
    tokio::time::timeout(PATIENCE, async {
        while emulator.depth("requests").is_some_and(|depth| depth.visible + depth.in_flight > 0) {
            tokio::task::yield_now().await;
        }
    })
    .await?;
    let worker = world.far_end.worker()?;
    let malformed = worker.metric("mcp_worker_intake_malformed_messages_total", "").await?;
    assert!(malformed >= 4.0, "{malformed} malformed messages were counted");
    let refused = worker.metric("mcp_worker_refusals_total", "reply_not_allowed").await?;
    assert!(refused >= 1.0, "{refused} addresses were refused");
    assert!(worker.metric("mcp_worker_children_started_total", "").await? < 2.0, "a stranger got a server");
    Ok(())
}

async fn put(emulator: &Emulator, queue: &str, session: &str, context: &str, body: &str) -> Result<()> {
    let mut message = emulator.client().send_message().queue_url(queue).message_body(body);
    for (name, value) in [("SessionId", session), ("ProxyContext", context)] {
        if !value.is_empty() {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build()?;
            message = message.message_attributes(name, value);
        }
    }
    message.send().await?;
    Ok(())
}
