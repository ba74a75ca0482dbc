//! What becomes of what is on the worker's queue: what strangers put there, of which clients see nothing, and what cannot be done.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use e2e::{
    fixtures::SERVERS_ACCESS_KEY,
    http::{Session, text},
    kind::{Kind, Reached},
    process::PATIENCE,
    proxy::Proxy,
    stories,
    worker::{Intake, Server, Settings, Worker},
    world::{self, World},
};
use serde_json::{Value, json};
use testkit::emulator::Emulator;
use tokio::time::timeout;

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
    timeout(PATIENCE, async {
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

/// How often a request may be given out and still run, by default.
const MAX_RECEIVES: usize = 3;

/// Somebody else receives it and never gets to it, again and again: the worker does not run it any more, tells the client, and puts it
/// where an operator sees it and reads why, before the queue itself would do so without a word.
#[tokio::test]
async fn a_call_that_runs_out_of_receives_is_a_dead_letter_and_its_client_hears_at_once() -> Result<()> {
    let emulator = Emulator::start().await?;
    let letters = emulator.create_queue("requests-dead-letters", &[])?;
    let arn = "arn:aws:sqs:us-east-1:000000000000:requests-dead-letters";
    let redrive = json!({"deadLetterTargetArn": arn, "maxReceiveCount": 5}).to_string();
    let requests = emulator.create_queue("requests", &[("RedrivePolicy", &redrive)])?;
    let responses = emulator.create_queue("responses", &[])?;
    let (server, _none) = Server::fixture_reached(Reached::Stdio, None).await?;
    let settings = Settings {
        more_intake: "wait_time = 1\n".to_owned(),
        more: "sole = true\n".to_owned(),
        ..Settings::new(Intake::Sqs { endpoint: emulator.endpoint_url(), queue: requests.clone() }, server)
    };
    let worker = Worker::start(&settings).await?;
    let proxy = Proxy::start(world::settings(&emulator, &requests, &responses, "")).await?;
    let session = Session::open(&proxy.url(), "2025-11-25").await?;
    let ran = session.answer(json!(1), "count", json!({"key": "runs"})).await?;
    assert_eq!(text(&ran), Some("1"));

    emulator.deny_to(SERVERS_ACCESS_KEY, "sqs:ReceiveMessage");
    timeout(PATIENCE, async {
        while emulator.waiting("requests") > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await?;
    let answer = session.answer(json!(2), "count", json!({"key": "runs"}));
    let received = async {
        for _ in 0..MAX_RECEIVES {
            receive(&emulator, &requests, 0).await?;
        }
        emulator.allow("sqs:ReceiveMessage");
        anyhow::Ok(())
    };
    // It was given out too often already, so nothing is waited for but the worker's next poll.
    let (answer, received) =
        timeout(Duration::from_secs(20), async { tokio::join!(answer, received) }).await?;
    received?;
    let error = &answer?["error"];
    assert_eq!(error["data"]["reason"], "out_of_receives", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("4 times")), "{error}");

    let letter = receive(&emulator, &letters, 30).await?;
    let body: Value = serde_json::from_str(letter.body().unwrap_or_default())?;
    assert_eq!((&body["method"], &body["params"]["name"]), (&json!("tools/call"), &json!("count")));
    let context = letter.message_attributes().and_then(|all| all.get("ProxyContext"));
    let context: Value =
        serde_json::from_str(context.and_then(|value| value.string_value()).unwrap_or_default())?;
    let reason = context["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("delivered 4 times without an answer"), "{context}");
    // The session goes on, the call never ran, and nothing comes again.
    let runs = session.answer(json!(3), "read_count", json!({"key": "runs"})).await?;
    assert_eq!(text(&runs), Some("1"));
    timeout(PATIENCE, async {
        while emulator.depth("requests").is_some_and(|depth| depth.visible + depth.in_flight > 0) {
            tokio::task::yield_now().await;
        }
    })
    .await?;
    proxy.stop().await?;
    worker.stop().await?;
    Ok(())
}

/// Receives a message, which is hidden for so many seconds then.
async fn receive(emulator: &Emulator, queue: &str, hidden: i32) -> Result<Message> {
    let receive = emulator.client().receive_message().queue_url(queue).wait_time_seconds(10);
    let received = receive.message_attribute_names("All").visibility_timeout(hidden).send().await?;
    received.messages.unwrap_or_default().pop().context("there is no message")
}
