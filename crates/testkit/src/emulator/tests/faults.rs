//! Injected failures, and the record of calls.

use std::time::Duration;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

use super::*;
use crate::emulator::{Failure, ServiceError};

#[tokio::test]
async fn the_next_calls_fail_as_told() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    let send = || client.send_message().queue_url(&url).message_body("b").send();
    for (failure, code, status) in [
        (Failure::AccessDenied, "AccessDenied", 403),
        (Failure::Throttled, "RequestThrottled", 403),
        (Failure::Internal, "InternalFailure", 500),
        (Failure::Unavailable, "ServiceUnavailable", 503),
        (Failure::Error(ServiceError::new("OverLimit", 403, "too many")), "OverLimit", 403),
    ] {
        emulator.fail_next("SendMessage", failure, 2);
        for _ in 0..2 {
            assert_eq!(refusal(send().await), (code.to_owned(), status));
        }
    }
    assert_eq!(emulator.depth("q").unwrap().visible, 0);
    emulator.fail_next("SendMessage", Failure::AfterEffect, 1);
    assert_eq!(refusal(send().await), ("InternalFailure".into(), 500));
    assert_eq!(emulator.depth("q").unwrap().visible, 1);
    emulator.fail_next("SendMessage", Failure::Slow(Duration::from_millis(1)), 1);
    send().await.unwrap();
    assert_eq!(emulator.depth("q").unwrap().visible, 2);
}

#[tokio::test]
async fn failures_concern_whom_they_name() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    let other = client_for(&emulator.endpoint_url(), "other");
    let send = |client: &Client| client.send_message().queue_url(&url).message_body("b").send();
    emulator.fail_next_of("other", "SendMessage", Failure::Internal, 1);
    emulator.deny_to("other", "ReceiveMessage");
    send(&client).await.unwrap();
    assert_eq!(refusal(send(&other).await).1, 500);
    send(&other).await.unwrap();
    client.receive_message().queue_url(&url).send().await.unwrap();
    assert_eq!(refusal(other.receive_message().queue_url(&url).send().await), ("AccessDenied".into(), 403));
    emulator.allow("ReceiveMessage");
    other.receive_message().queue_url(&url).send().await.unwrap();
}

#[tokio::test]
async fn a_denied_permission_denies_what_needs_it() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    emulator.deny("SendMessage");
    emulator.deny("TagQueue");
    let entry = SendMessageBatchRequestEntry::builder().id("a").message_body("b").build().unwrap();
    let batch = client.send_message_batch().queue_url(&url).entries(entry).send().await;
    assert_eq!(refusal(batch), ("AccessDenied".into(), 403));
    let create = client.create_queue().queue_name("tagged").tags("a", "b").send().await;
    assert_eq!(refusal(create), ("AccessDenied".into(), 403));
    client.create_queue().queue_name("plain").send().await.unwrap();
}

#[tokio::test]
async fn entries_of_a_batch_fail_as_told() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    emulator.fail_next_entries(&ServiceError::new("InternalError", 500, "later"), 1);
    let entry = |id: &str| SendMessageBatchRequestEntry::builder().id(id).message_body("b").build().unwrap();
    let sent = client
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("a"))
        .entries(entry("b"))
        .send()
        .await
        .unwrap();
    assert_eq!((sent.failed()[0].id(), sent.failed()[0].sender_fault()), ("a", false));
    assert_eq!(sent.successful()[0].id(), "b");
}

#[tokio::test]
async fn calls_are_counted_by_caller_and_permissions_by_queue() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    let other = client_for(&emulator.endpoint_url(), "other");
    client.send_message().queue_url(&url).message_body("b").send().await.unwrap();
    let before = emulator.calls();
    assert_eq!((before.of("test", "SendMessage"), before.total()), (1, 1));
    let entry = SendMessageBatchRequestEntry::builder().id("a").message_body("b").build().unwrap();
    client.send_message_batch().queue_url(&url).entries(entry).send().await.unwrap();
    other.receive_message().queue_url(&url).send().await.unwrap();
    other.create_queue().queue_name("r").tags("a", "b").send().await.unwrap();
    let since = emulator.calls().since(&before);
    assert_eq!((since.of("test", "SendMessage"), since.of("test", "SendMessageBatch")), (0, 1));
    assert_eq!((since.by("other"), since.by("test"), since.total()), (2, 1, 3));
    let uses = emulator.uses();
    let uses: Vec<_> = uses
        .iter()
        .map(|used| (used.access_key.as_str(), used.permission.as_str(), used.resource.as_str()))
        .collect();
    assert_eq!(
        uses,
        [
            ("other", "sqs:CreateQueue", "r"),
            ("other", "sqs:ReceiveMessage", "q"),
            ("other", "sqs:TagQueue", "r"),
            ("test", "sqs:SendMessage", "q"),
        ]
    );
}
