//! FIFO queues, and message groups on standard ones.

use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};

use super::*;
use crate::emulator::account::Account;
use crate::emulator::sqs::request::Request;

/// AWS, "FIFO delivery logic": a group gives out nothing more while one of its messages is in flight; one receive may
/// take several of a group, in order.
#[tokio::test]
async fn groups_are_in_order_and_apart() {
    let (_emulator, client, url) = with_queue("q.fifo", &[("FifoQueue", "true")]).await;
    let send = async |group: &str, body: &str| {
        let send = client.send_message().queue_url(&url).message_body(body).message_group_id(group);
        send.message_deduplication_id(body).send().await.unwrap().sequence_number.unwrap()
    };
    let mut numbers = Vec::new();
    for (group, body) in [("a", "a1"), ("b", "b1"), ("a", "a2")] {
        numbers.push(send(group, body).await);
    }
    assert!(numbers.is_sorted(), "{numbers:?}");
    let first = receive(&client, &url).await;
    assert_eq!(bodies(&first), ["a1", "b1", "a2"]);
    let system = first[1].attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "b");
    assert_eq!(system[&MessageSystemAttributeName::SequenceNumber], numbers[1]);
    send("a", "a3").await;
    send("c", "c1").await;
    assert_eq!(bodies(&receive(&client, &url).await), ["c1"]);
    // Shown again, the group begins anew, with what has not been deleted.
    let show = |message: &Message| {
        let change = client.change_message_visibility().queue_url(&url).visibility_timeout(0);
        change.receipt_handle(message.receipt_handle().unwrap()).send()
    };
    show(&first[2]).await.unwrap();
    assert!(receive(&client, &url).await.is_empty(), "a1 is still in flight");
    show(&first[0]).await.unwrap();
    assert_eq!(bodies(&receive(&client, &url).await), ["a1", "a2", "a3"]);
}

/// AWS, `SendMessage`: what each kind of queue takes.
#[tokio::test]
async fn each_kind_of_queue_has_its_parameters() {
    let (emulator, client, fifo) = with_queue("q.fifo", &[("FifoQueue", "true")]).await;
    let standard = emulator.create_queue("q", &[]).unwrap();
    let send = |url: &str| client.send_message().queue_url(url).message_body("b");
    send(&standard).message_group_id("fair").send().await.unwrap();
    let long = "x".repeat(129);
    for (send, code) in [
        (send(&fifo).message_deduplication_id("1"), "MissingParameter"),
        (send(&fifo).message_group_id("a"), "InvalidParameterValue"),
        (
            send(&fifo).message_group_id("a").message_deduplication_id("1").delay_seconds(1),
            "InvalidParameterValue",
        ),
        (send(&fifo).message_group_id("a b").message_deduplication_id("1"), "InvalidParameterValue"),
        (send(&fifo).message_group_id("a").message_deduplication_id(&long), "InvalidParameterValue"),
        (send(&standard).message_deduplication_id("1"), "InvalidParameterValue"),
    ] {
        assert_eq!(refusal(send.send().await), (code.into(), 400));
    }
    let get = client.get_queue_attributes().queue_url(&fifo).attribute_names(QueueAttributeName::All);
    let attributes = get.send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::FifoQueue], "true");
    assert_eq!(attributes[&QueueAttributeName::ContentBasedDeduplication], "false");
}

/// AWS, "Exactly-once processing in Amazon SQS": five minutes, also after the message was deleted.
#[tokio::test(start_paused = true)]
async fn a_repetition_within_five_minutes_is_taken_and_not_delivered() {
    for (scope, expected) in [("queue", 1), ("messageGroup", 2)] {
        let account = Account::new("http://h".into(), 0);
        let attributes =
            [("FifoQueue", "true"), ("ContentBasedDeduplication", "true"), ("DeduplicationScope", scope)];
        account.create_queue("q.fifo", &attributes).unwrap();
        let send = async |group: &str| {
            let json =
                format!(r#"{{"QueueUrl":"http://h/0/q.fifo","MessageBody":"b","MessageGroupId":"{group}"}}"#);
            account.perform_sqs("SendMessage", &Request::parse(json.as_bytes()).unwrap()).await.unwrap()
        };
        let depth = || account.depth("q.fifo").unwrap().visible;
        let first = send("a").await;
        assert_eq!(send("a").await["MessageId"], first["MessageId"]);
        send("b").await;
        assert_eq!(depth(), expected, "{scope}");
        tokio::time::advance(Duration::from_millis(299_999)).await;
        send("a").await;
        assert_eq!(depth(), expected, "{scope}");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_ne!(send("a").await["MessageId"], first["MessageId"]);
        assert_eq!(depth(), expected + 1, "{scope}");
    }
}
