//! Sending, receiving, deleting; order, visibility, groups and dead letters.

use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageSystemAttributeName, SendMessageBatchRequestEntry,
};

use super::*;

#[tokio::test]
async fn a_message_comes_as_it_was_sent() {
    let (_emulator, client, url) = with_queue("q", &[]).await;
    let message = client.send_message().queue_url(&url).message_body("ä\n{\"a\":1}");
    let sent = message
        .message_attributes("MessageType", text("jsonrpc"))
        .message_group_id("fair")
        .send()
        .await
        .unwrap();
    let messages = receive(&client, &url).await;
    assert_eq!(bodies(&messages), ["ä\n{\"a\":1}"]);
    assert_eq!(messages[0].message_id(), sent.message_id());
    assert_eq!(messages[0].md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert_eq!(messages[0].message_attributes().unwrap()["MessageType"], text("jsonrpc"));
    let system = messages[0].attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "fair");
    assert!(system[&MessageSystemAttributeName::SentTimestamp].parse::<u64>().unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn only_the_attributes_asked_for_come() {
    let (_emulator, client, url) = with_queue("q", &[]).await;
    for (pattern, expected) in [
        (None, &[][..]),
        (Some("foo.*"), &["foo.a", "foo.b"]),
        (Some("bar"), &["bar"]),
        (Some(".*"), &["bar", "foo.a", "foo.b"]),
    ] {
        let send = client.send_message().queue_url(&url).message_body("b");
        let send = send.message_attributes("foo.a", text("1")).message_attributes("foo.b", text("2"));
        send.message_attributes("bar", text("3")).send().await.unwrap();
        let names = pattern.map(|pattern| vec![pattern.to_owned()]);
        let received =
            client.receive_message().queue_url(&url).set_message_attribute_names(names).send().await.unwrap();
        let message = &received.messages()[0];
        let mut names: Vec<_> =
            message.message_attributes().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{pattern:?}");
        assert_eq!(message.attributes(), None);
    }
}

#[tokio::test]
async fn a_message_of_one_mebibyte_passes() {
    let (_emulator, client, url) = with_queue("q", &[]).await;
    let body = "\u{1F600}".repeat(262_144);
    client.send_message().queue_url(&url).message_body(&body).send().await.unwrap();
    assert_eq!(bodies(&receive(&client, &url).await), [body.as_str()]);
    let result = client.send_message().queue_url(&url).message_body(body + "x").send().await;
    assert_eq!(refusal(result), ("InvalidParameterValue".into(), 400));
}

#[tokio::test]
async fn a_message_is_hidden_shown_and_deleted() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    client.send_message().queue_url(&url).message_body("b").send().await.unwrap();
    let first = receive(&client, &url).await.remove(0);
    assert!(receive(&client, &url).await.is_empty());
    let change = client.change_message_visibility().queue_url(&url).visibility_timeout(0);
    change.receipt_handle(first.receipt_handle().unwrap()).send().await.unwrap();
    let second = receive(&client, &url).await.remove(0);
    let count = &second.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount];
    assert_eq!(count, "2");
    let delete = |handle: &str| client.delete_message().queue_url(&url).receipt_handle(handle).send();
    delete(first.receipt_handle().unwrap()).await.unwrap();
    assert_eq!(emulator.depth("q").unwrap().in_flight, 1, "an old handle deletes nothing");
    delete(second.receipt_handle().unwrap()).await.unwrap();
    assert_eq!(emulator.depth("q"), Some(crate::emulator::Depth::default()));
    let change = client.change_message_visibility().queue_url(&url).visibility_timeout(0);
    let result = change.receipt_handle(second.receipt_handle().unwrap()).send().await;
    assert_eq!(refusal(result), ("InvalidParameterValue".into(), 400));
}

#[tokio::test]
async fn a_batch_fails_by_entry() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    let entry = |id: &str, body: &str| {
        SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
    };
    let batch = client.send_message_batch().queue_url(&url);
    let sent = batch.entries(entry("good", "b")).entries(entry("bad", "\u{1}")).send().await.unwrap();
    assert_eq!(sent.successful()[0].id(), "good");
    let failed = &sent.failed()[0];
    assert_eq!((failed.id(), failed.code(), failed.sender_fault()), ("bad", "InvalidMessageContents", true));
    let message = receive(&client, &url).await.remove(0);
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let batch = client.delete_message_batch().queue_url(&url);
    let batch = batch.entries(entry("good", message.receipt_handle().unwrap())).entries(entry("bad", "?"));
    let deleted = batch.send().await.unwrap();
    assert_eq!(deleted.successful()[0].id(), "good");
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert_eq!(emulator.depth("q").unwrap().in_flight, 0);
}

#[tokio::test]
async fn a_fifo_group_waits_for_its_message_in_flight() {
    let (_emulator, client, url) = with_queue("q.fifo", &[("FifoQueue", "true")]).await;
    for (group, id) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a1")] {
        let send = client.send_message().queue_url(&url).message_body(id).message_group_id(group);
        send.message_deduplication_id(id).send().await.unwrap();
    }
    let one = || async {
        client.receive_message().queue_url(&url).send().await.unwrap().messages.unwrap_or_default()
    };
    let first = one().await;
    assert_eq!(bodies(&first), ["a1"]);
    assert_eq!(bodies(&one().await), ["b1"]);
    assert!(one().await.is_empty());
    let handle = first[0].receipt_handle().unwrap();
    client.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
    assert_eq!(bodies(&one().await), ["a2"]);
    let result = client.send_message().queue_url(&url).message_body("b").send().await;
    assert_eq!(refusal(result), ("MissingParameter".into(), 400));
}

#[tokio::test]
async fn message_ids_are_the_accounts() {
    let (emulator, client, first) = with_queue("first", &[]).await;
    let second = emulator.create_queue("second", &[]).unwrap();
    let mut ids = std::collections::HashSet::new();
    for url in [&first, &second, &first] {
        let sent = client.send_message().queue_url(url).message_body("b").send().await.unwrap();
        ids.insert(sent.message_id.unwrap());
    }
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn a_message_received_in_vain_becomes_a_dead_letter() {
    let (emulator, client, dead) = with_queue("dead", &[]).await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"2"}"#;
    let url = emulator.create_queue("q", &[("RedrivePolicy", policy), ("VisibilityTimeout", "0")]).unwrap();
    client.send_message().queue_url(&url).message_body("b").send().await.unwrap();
    for _ in 0..2 {
        assert_eq!(bodies(&receive(&client, &url).await), ["b"]);
    }
    assert!(receive(&client, &url).await.is_empty());
    let messages = receive(&client, &dead).await;
    let source = &messages[0].attributes().unwrap()[&MessageSystemAttributeName::DeadLetterQueueSourceArn];
    assert_eq!(source, "arn:aws:sqs:us-east-1:000000000000:q");
}
