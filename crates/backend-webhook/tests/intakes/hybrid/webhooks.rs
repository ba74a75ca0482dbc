//! What is posted to the client's webhook.

use std::time::Duration;

use proxy_core::{ReplyAddress, intake::ReplyTo};

use super::{ANSWER, ASKED, CALL, Events, LOGGED, Responding, SESSION, World, configured, reply, unrelated};
use crate::{
    desk::{in_time, next, text},
    receiver::Receiver,
};

async fn world() -> World {
    World::with(configured(|config| config.webhook_tools = vec!["add".to_owned()])).await
}

#[tokio::test]
async fn a_webhook_tools_answer_is_posted_and_its_response_ends_silently() {
    let (mut world, mut receiver) = (world().await, Receiver::start().await);
    let opened = world.open(Some(&receiver.url)).await;
    assert_eq!(opened.reply, Some(ReplyTo::Address(ReplyAddress::Url(receiver.url.as_str().into()))));
    assert!(!text(&opened).contains("webhookUrl"), "{}", text(&opened));
    let (mut events, call) = world.call(CALL).await;
    // what belongs to the call comes on its response
    world.reply(reply(&opened, &call, LOGGED)).await.unwrap();
    assert_eq!(events.next().await.as_deref(), Some(LOGGED));
    let taking = async {
        let got = receiver.got().await;
        assert_eq!((got.body.as_str(), got.header("mcp-session-id")), (ANSWER, Some(SESSION)));
        got.answer(200);
    };
    let (result, ()) =
        in_time(async { tokio::join!(world.reply(reply(&opened, &call, ANSWER)), taking) }).await;
    result.unwrap();
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn what_comes_before_the_answer_of_a_webhook_tool_has_time_to_be_read() {
    let (mut world, mut receiver) = (world().await, Receiver::start().await);
    let opened = world.open(Some(&receiver.url)).await;
    let (_events, call) = world.call(CALL).await;
    world.reply(reply(&opened, &call, LOGGED)).await.unwrap();
    let told = tokio::time::Instant::now();
    let taking = async {
        let got = receiver.got().await;
        assert!(told.elapsed() >= Duration::from_millis(90), "{:?}", told.elapsed());
        got.answer(200);
    };
    in_time(async { tokio::join!(world.reply(reply(&opened, &call, ANSWER)), taking) }).await.0.unwrap();
}

#[tokio::test]
async fn other_tools_answers_and_those_of_clients_without_a_webhook_come_on_the_response() {
    let (mut world, mut receiver) = (world().await, Receiver::start().await);
    let opened = world.open(Some(&receiver.url)).await;
    let (mut events, call) = world.call(&CALL.replace("add", "subtract")).await;
    world.reply(reply(&opened, &call, ANSWER)).await.unwrap();
    assert_eq!(events.next().await.as_deref(), Some(ANSWER));
    let opened = world.open(None).await;
    let (mut events, call) = world.call(CALL).await;
    world.reply(reply(&opened, &call, ANSWER)).await.unwrap();
    assert_eq!(events.next().await.as_deref(), Some(ANSWER));
    assert!(!receiver.has_more());
}

#[tokio::test]
async fn an_answer_that_the_webhook_does_not_take_comes_on_the_response() {
    let mut world = world().await;
    let opened = world.open(Some("http://127.0.0.1:1/webhook")).await;
    let (mut events, call) = world.call(CALL).await;
    world.reply(reply(&opened, &call, ANSWER)).await.unwrap();
    assert_eq!(events.next().await.as_deref(), Some(ANSWER));
    assert_eq!(events.next().await, None);
    let mut receiver = Receiver::start().await;
    for status in [400, 500, 503] {
        let opened = world.open(Some(&receiver.url)).await;
        let (mut events, call) = world.call(CALL).await;
        let refusing = async { receiver.got().await.answer(status) };
        let replying = world.reply(reply(&opened, &call, ANSWER));
        in_time(async { tokio::join!(replying, refusing) }).await.0.unwrap();
        assert_eq!(events.next().await.as_deref(), Some(ANSWER), "{status}");
    }
}

#[tokio::test]
async fn an_answer_whose_response_is_gone_goes_to_the_webhook_until_it_is_taken() {
    let (mut world, mut receiver) = (World::start().await, Receiver::start().await);
    let opened = world.open(Some(&receiver.url)).await;
    let (events, call) = world.call(CALL).await;
    drop(events);
    // the connection's end is noticed some time; from then on what belongs to the call comes here
    let message = loop {
        let posting = world.reply(reply(&opened, &call, LOGGED));
        tokio::select! {
            result = posting => result.unwrap(),
            got = receiver.got() => break got,
        }
    };
    message.answer(200);
    let taking = async {
        receiver.got().await.answer(503);
        let got = receiver.got().await;
        assert_eq!(got.body, ANSWER);
        got.answer(202);
    };
    let replying = world.reply(reply(&opened, &call, ANSWER));
    in_time(async { tokio::join!(replying, taking) }).await.0.unwrap();
}

#[tokio::test]
async fn without_a_standalone_stream_the_webhook_gets_what_belongs_to_no_request() {
    let (mut world, mut receiver) = (world().await, Receiver::start().await);
    let opened = world.open(Some(&receiver.url)).await;
    let taking = async {
        let got = receiver.got().await;
        assert_eq!((got.body.as_str(), got.header("x-method")), (ASKED, Some("elicitation/create")));
        assert_eq!(got.header("x-request-id"), Some("7"));
        got.answer(200);
    };
    in_time(async { tokio::join!(world.reply(unrelated(&opened, ASKED)), taking) }).await.0.unwrap();
    let mut standalone = Events::of(world.listen().await);
    world.reply(unrelated(&opened, LOGGED)).await.unwrap();
    assert_eq!(standalone.next().await.as_deref(), Some(LOGGED));
    assert!(!receiver.has_more());
}

#[tokio::test]
async fn in_json_a_webhook_tools_response_says_that_it_is_accepted() {
    let config = configured(|config| {
        config.webhook_tools = vec!["add".to_owned()];
        config.json_response = true;
    });
    let (mut world, mut receiver) = (World::with(config).await, Receiver::start().await);
    let opened = world.open(Some(&receiver.url)).await;
    let responding = Responding::to(world.post_in(CALL));
    let call = next(&mut world.arrivals).await;
    let taking = async { receiver.got().await.answer(200) };
    in_time(async { tokio::join!(world.reply(reply(&opened, &call, ANSWER)), taking) }).await.0.unwrap();
    assert_eq!(responding.response().await.status().as_u16(), 202);
}
