//! Errors as the SDK reads them.

use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};

use super::*;

#[tokio::test]
async fn errors_have_the_kinds_that_the_sdk_knows() {
    let (emulator, client, url) = with_queue("q", &[]).await;
    let missing = emulator.queue_url("missing");
    let send = client.send_message().queue_url(&missing).message_body("b").send().await;
    assert!(send.unwrap_err().into_service_error().is_queue_does_not_exist());
    let receive = client.receive_message().queue_url(&missing).send().await;
    assert!(receive.unwrap_err().into_service_error().is_queue_does_not_exist());
    let contents = client.send_message().queue_url(&url).message_body("\u{FFFF}").send().await;
    assert!(contents.unwrap_err().into_service_error().is_invalid_message_contents());
    let delete = client.delete_message().queue_url(&url).receipt_handle("?").send().await;
    assert!(delete.unwrap_err().into_service_error().is_receipt_handle_is_invalid());
    let get = client.get_queue_attributes().queue_url(&url).attribute_names("Colour".into()).send().await;
    assert!(get.unwrap_err().into_service_error().is_invalid_attribute_name());
    let set =
        client.set_queue_attributes().queue_url(&url).attributes(QueueAttributeName::DelaySeconds, "901");
    assert!(set.send().await.unwrap_err().into_service_error().is_invalid_attribute_value());
}

#[tokio::test]
async fn batches_keep_the_limits() {
    let (_emulator, client, url) = with_queue("q", &[]).await;
    let entry = |id: usize, size: usize| {
        let entry = SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body("x".repeat(size));
        entry.build().unwrap()
    };
    let send = async |ids: &[usize], size: usize| {
        let entries = ids.iter().map(|id| entry(*id, size)).collect();
        let sent = client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await;
        sent.map_err(aws_sdk_sqs::error::SdkError::into_service_error)
    };
    assert!(send(&[], 1).await.unwrap_err().is_empty_batch_request());
    assert!(send(&[1; 2], 1).await.unwrap_err().is_batch_entry_ids_not_distinct());
    assert!(
        send(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 1)
            .await
            .unwrap_err()
            .is_too_many_entries_in_batch_request()
    );
    assert!(send(&[0, 1], 524_289).await.unwrap_err().is_batch_request_too_long());
    assert_eq!(send(&[0, 1], 524_288).await.unwrap().successful().len(), 2);
}

#[tokio::test]
async fn a_negative_visibility_harms_nothing() {
    let (_emulator, client, url) = with_queue("q", &[]).await;
    let result = client.receive_message().queue_url(&url).visibility_timeout(-1).send().await;
    assert_eq!(refusal(result), ("InvalidParameterValue".into(), 400));
    client.send_message().queue_url(&url).message_body("b").send().await.unwrap();
    assert_eq!(bodies(&receive(&client, &url).await), ["b"]);
}
