//! What goes through the pipes.

use std::time::Duration;

use crate::harness::{Rig, changed, server, within};
use proxy_core::{
    backend::Backend as _,
    error::{Delivery, ErrorKind},
    message::Message,
};
use tokio::time::Instant;

#[tokio::test]
async fn garbage_is_counted_and_passed_over() {
    let rig = Rig::new(&server());
    let client = rig.open().await;
    client.call("garbage", "{}").await.unwrap();
    // a welcome, half an object, no JSON at all, and an empty batch
    assert_eq!(rig.metric("mcp_worker_children_malformed_lines_total").as_deref(), Some("4"));
    rig.shut_down().await;
}

#[tokio::test]
async fn a_batch_is_taken_apart() {
    let rig = Rig::new(&server());
    let client = rig.open().await;
    client.send("batch", "{}").await.unwrap();
    assert_eq!(client.message().await.method(), Some("notifications/message"));
    assert!(matches!(client.message().await, Message::Response(_)));
    rig.shut_down().await;
}

#[tokio::test]
async fn an_answer_over_the_limit_ends_its_call_alone() {
    let rig = Rig::new(&changed(server(), |config| config.max_message = 10_000));
    let client = rig.open().await;
    let outbound = client.outbound("big", "{\"count\":200000}");
    let about = outbound.about.clone();
    rig.children.send(outbound).await.unwrap();
    let (wire, error) = client.failure().await;
    assert_eq!((wire, error.kind()), (about, ErrorKind::TooLarge));
    assert_eq!(error.to_string(), "the server's answer is longer than the 10000 bytes of max_message");
    assert!(client.call("echo", "{}").await.is_ok());
    rig.shut_down().await;
}

#[tokio::test]
async fn a_servers_request_over_the_limit_is_refused_to_it() {
    let rig = Rig::new(&changed(server(), |config| config.max_message = 10_000));
    let client = rig.open().await;
    client.send("ask_much", "{\"count\":200000}").await.unwrap();
    let told = client.message().await;
    assert!(told.as_str().contains("longer than the 10000 bytes"), "{}", told.as_str());
    rig.shut_down().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_not_sent() {
    let rig = Rig::new(&changed(server(), |config| config.max_message = 1000));
    let client = rig.open().await;
    let error = client.send("echo", &format!("{{\"x\":\"{}\"}}", "x".repeat(1000))).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::NotSent));
    assert!(client.call("echo", "{}").await.is_ok());
    rig.shut_down().await;
}

#[tokio::test]
async fn a_message_of_several_lines_is_one_line_to_the_server() {
    let rig = Rig::new(&server());
    let client = rig.open().await;
    let answer = client.call("echo", "{\r\n  \"text\":\n\"a\\nb\"\n}").await.unwrap();
    assert_eq!(answer["result"]["text"], "a\nb");
    rig.shut_down().await;
}

#[tokio::test]
async fn large_messages_pass_whole_both_ways() {
    let rig = Rig::new(&server());
    let client = rig.open().await;
    let text = "größe".repeat(1 << 18);
    let answer = client.call("echo", &format!("{{\"text\":\"{text}\"}}")).await.unwrap();
    assert_eq!(answer["result"]["text"], text.as_str());
    rig.shut_down().await;
}

#[tokio::test]
async fn a_server_that_does_not_read_holds_nobody_else_up() {
    let rig = Rig::new(&server());
    let (deaf, other) = (rig.open().await, rig.open().await);
    deaf.call("deaf", "{}").await.unwrap();
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20));
    let send = |params: &str| {
        let mut outbound = deaf.outbound("echo", params);
        outbound.context.deadline = Instant::now() + Duration::from_millis(300);
        rig.children.send(outbound)
    };
    let (begun, waiting, answered) =
        within(async { tokio::join!(send(&large), send("{}"), other.call("echo", "{}")) }).await;
    let deliveries = [begun.unwrap_err(), waiting.unwrap_err()].map(|error| {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        error.delivery()
    });
    assert_eq!(deliveries, [Delivery::MaybeSent, Delivery::NotSent]);
    answered.unwrap();
    deaf.close().await;
    rig.shut_down().await;
}
