//! What goes back: its attributes, and what becomes of it where it cannot.

use std::collections::BTreeMap;

use proxy_core::{
    ProxyContext, ReplyAddress,
    error::{Delivery, ErrorKind},
    id::RemoteSession,
    intake::{Intake as _, Reply, ReplyTo},
    message::Message,
};
use tokio::time::Instant;

use crate::harness::{PATIENCE, World, answer, call, take};

fn reply(url: &str, body: &str) -> Reply {
    Reply {
        session: Some(RemoteSession::parse("session").unwrap()),
        to: ReplyTo::Address(ReplyAddress::Sqs(url.into())),
        request: None,
        context: None,
        payloads: None,
        deadline: Instant::now() + PATIENCE,
        message: Message::parse(body).unwrap(),
    }
}

#[tokio::test]
async fn the_attributes_are_those_of_asyncmcps_servers() {
    // asyncmcp 0.2.1, common/aws_queue_utils.py, create_common_server_message_attributes
    let mut world = World::start().await;
    let url = world.emulator.create_queue("client", &[]).unwrap();
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
    let asked = r#"{"jsonrpc":"2.0","id":0,"method":"elicitation/create","params":{}}"#;
    for (body, more) in [
        (answer(1), vec![]),
        (progress.to_owned(), vec![("Method", "notifications/progress")]),
        (asked.to_owned(), vec![("Method", "elicitation/create"), ("RequestId", "0")]),
    ] {
        world.intake.reply(reply(&url, &body)).await.unwrap();
        let message = take(&world.emulator, "client", 1).await.remove(0);
        assert_eq!(message.body(), Some(&*body));
        let attributes = message.message_attributes().unwrap();
        assert_eq!(attributes["Timestamp"].data_type(), "Number");
        let texts: BTreeMap<&str, &str> = attributes
            .iter()
            .filter(|(name, _)| *name != "Timestamp")
            .map(|(name, value)| (name.as_str(), value.string_value().unwrap()))
            .collect();
        let common = [("MessageType", "jsonrpc"), ("SessionId", "session")];
        assert_eq!(texts, common.into_iter().chain(more).collect());
    }
    world.stop().await;
}

#[tokio::test]
async fn an_answer_goes_where_its_request_wants_it() {
    let mut world = World::start().await;
    let session = world.emulator.create_queue("session", &[]).unwrap();
    let request = world.emulator.create_queue("request", &[]).unwrap();
    let context = ProxyContext { v: ProxyContext::VERSION, seq: Some(0), ..ProxyContext::default() };
    let to = ReplyTo::Address(ReplyAddress::Sqs(request.into()));
    let reply = Reply { request: Some(to), context: Some(context), ..reply(&session, &answer(1)) };
    world.intake.reply(reply).await.unwrap();
    let message = take(&world.emulator, "request", 1).await.remove(0);
    assert_eq!(crate::harness::attribute(&message, "ProxyContext").as_deref(), Some(r#"{"v":1,"seq":0}"#));
    world.stop().await;
}

#[tokio::test]
async fn the_answers_of_a_session_are_a_group_of_a_fifo_queue() {
    let mut world = World::start().await;
    let url = world.emulator.create_queue("client.fifo", &[("FifoQueue", "true")]).unwrap();
    for _ in 0..2 {
        // the same again is another message
        world.intake.reply(reply(&url, &answer(1))).await.unwrap();
    }
    let messages = take(&world.emulator, "client.fifo", 2).await;
    let group = &aws_sdk_sqs::types::MessageSystemAttributeName::MessageGroupId;
    assert!(messages.iter().all(|message| message.attributes().unwrap()[group] == "session"));
    world.stop().await;
}

#[tokio::test]
async fn what_a_clients_queue_does_not_take_is_too_large() {
    let mut world = World::start().await;
    let url = world.emulator.create_queue("client", &[("MaximumMessageSize", "1024")]).unwrap();
    let large = format!(r#"{{"jsonrpc":"2.0","id":"1","result":{{"text":"{}"}}}}"#, "x".repeat(2000));
    let error = world.intake.reply(reply(&url, &large)).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::NotSent), "{error}");
    assert!(error.to_string().contains("the reply queue client"), "{error}");
    world.stop().await;
}

#[tokio::test]
async fn a_queue_that_is_not_there_fails_at_once() {
    let mut world = World::start().await;
    let started = Instant::now();
    let error = world.intake.reply(reply(&world.emulator.queue_url("gone"), &call(1))).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Config, Delivery::NotSent), "{error}");
    assert!(error.to_string().contains("the reply queue gone does not exist"), "{error}");
    assert!(started.elapsed() < PATIENCE / 4);
    world.stop().await;
}

#[tokio::test]
async fn what_is_no_queue_is_not_answered() {
    let mut world = World::start().await;
    let url = ReplyTo::Address(ReplyAddress::Url("http://127.0.0.1/".into()));
    let error = world.intake.reply(Reply { to: url, ..reply("", &answer(1)) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    world.stop().await;
}
