//! Publishing: what is taken, and what is refused with which error.

use aws_sdk_sns::types::PublishBatchRequestEntry;

use super::*;
use crate::emulator::{Failure, ServiceError};

/// AWS, `Publish` and "Amazon SNS message attributes": names, types and values as those of SQS; 256 KiB in all.
#[tokio::test]
async fn a_message_keeps_the_rules() {
    let (emulator, topic, _) = with_topic(&[]).await;
    let client = emulator.sns_client();
    let publish = || client.publish().topic_arn(&topic);
    for (name, data_type, value) in [
        ("a b", "String", "x"),
        ("AWS.a", "String", "x"),
        ("a", "Text", "x"),
        ("a", "String", ""),
        ("a", "Number", "x"),
        ("a", "String", "x\u{1}"),
    ] {
        let published =
            publish().message("m").message_attributes(name, attribute(data_type, value)).send().await;
        let error = published.unwrap_err().into_service_error();
        assert!(error.is_invalid_parameter_value_exception(), "{name} {error:?}");
    }
    let of_size = |size: usize| "x".repeat(size - "aStringx".len());
    let sized =
        |size| publish().message(of_size(size)).message_attributes("a", attribute("String", "x")).send();
    sized(262_144).await.unwrap();
    for published in [
        sized(262_145).await,
        publish().message("").send().await,
        publish().message("m").subject("a\nb").send().await,
        publish().message("m").message_deduplication_id("d").send().await,
        publish().message("m").message_structure("json").send().await,
    ] {
        assert!(published.unwrap_err().into_service_error().is_invalid_parameter_exception());
    }
    let set = client.set_topic_attributes().topic_arn(&topic).attribute_name("MaximumMessageSize");
    set.attribute_value("1048576").send().await.unwrap();
    sized(1_048_576).await.unwrap();
    assert!(sized(1_048_577).await.unwrap_err().into_service_error().is_invalid_parameter_exception());
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_not_found() {
    let emulator = Emulator::start().await.unwrap();
    let client = emulator.sns_client();
    let missing = "arn:aws:sns:us-east-1:000000000000:missing";
    let published = client.publish().topic_arn(missing).message("m").send().await;
    let error = published.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 404);
    assert!(error.into_service_error().is_not_found_exception());
    let published = client.publish().topic_arn("missing").message("m").send().await;
    assert!(published.unwrap_err().into_service_error().is_invalid_parameter_exception());
}

/// AWS, `PublishBatch`: 1 to 10 entries, ids distinct, one limit for all; each entry succeeds or fails by itself.
#[tokio::test]
async fn a_batch_keeps_the_rules_and_fails_by_entry() {
    let (emulator, topic, url) = with_topic(&[]).await;
    emulator.subscribe(&topic, &url, true, None).unwrap();
    let client = emulator.sns_client();
    let entry = |id: &str, message: &str| {
        PublishBatchRequestEntry::builder().id(id).message(message).build().unwrap()
    };
    let publish = async |entries: Vec<PublishBatchRequestEntry>| {
        let batch = client.publish_batch().topic_arn(&topic);
        let sent = batch.set_publish_batch_request_entries(Some(entries)).send().await;
        sent.map_err(SdkError::into_service_error)
    };
    let many = (0..11).map(|number| entry(&number.to_string(), "m")).collect();
    assert!(publish(vec![]).await.unwrap_err().is_empty_batch_request_exception());
    assert!(publish(many).await.unwrap_err().is_too_many_entries_in_batch_request_exception());
    let twins = vec![entry("a", "m"), entry("a", "m")];
    assert!(publish(twins).await.unwrap_err().is_batch_entry_ids_not_distinct_exception());
    assert!(publish(vec![entry("a.b", "m")]).await.unwrap_err().is_invalid_batch_entry_id_exception());
    let large = "x".repeat(131_073);
    let too_long = publish(vec![entry("a", &large), entry("b", &large)]).await;
    assert!(too_long.unwrap_err().is_batch_request_too_long_exception());
    assert_eq!(emulator.depth("q").unwrap().visible, 0);

    emulator.fail_next_entries(&ServiceError::new("InternalError", 500, "later"), 1);
    let sent = publish(vec![entry("a", "m"), entry("b", "second"), entry("c", "")]).await.unwrap();
    let failed: Vec<_> =
        sent.failed().iter().map(|failed| (failed.id(), failed.code(), failed.sender_fault())).collect();
    assert_eq!(failed, [("a", "InternalError", false), ("c", "InvalidParameter", true)]);
    assert_eq!(sent.successful()[0].id(), Some("b"));
    assert!(sent.successful()[0].message_id().is_some());
    assert_eq!(bodies(&receive(&emulator.client(), &url).await), ["second"]);
}

/// AWS, SNS's "Common error types": the codes that its SDK knows.
#[tokio::test]
async fn failures_are_those_of_sns() {
    let (emulator, topic, _) = with_topic(&[]).await;
    let client = emulator.sns_client();
    let publish = || client.publish().topic_arn(&topic).message("m").send();
    for (failure, code, status) in [
        (Failure::AccessDenied, "AuthorizationError", 403),
        (Failure::Throttled, "Throttling", 400),
        (Failure::Internal, "InternalError", 500),
        (Failure::AfterEffect, "InternalError", 500),
        (Failure::Unavailable, "ServiceUnavailable", 503),
    ] {
        emulator.fail_next("Publish", failure, 1);
        assert_eq!(refusal(publish().await), (code.to_owned(), status));
    }
    publish().await.unwrap();
    emulator.deny("sns:Publish");
    assert!(publish().await.unwrap_err().into_service_error().is_authorization_error_exception());
    let entry = PublishBatchRequestEntry::builder().id("a").message("m").build().unwrap();
    let batch = client.publish_batch().topic_arn(&topic).publish_batch_request_entries(entry).send().await;
    assert!(batch.unwrap_err().into_service_error().is_authorization_error_exception());
    emulator.allow("sns:Publish");
    publish().await.unwrap();
}

/// The service authorization reference of SNS: `PublishBatch` needs `Publish`; actions on a subscription name no resource.
#[tokio::test]
async fn uses_name_the_topic() {
    let (emulator, topic, url) = with_topic(&[]).await;
    let arn = emulator.subscribe(&topic, &url, true, None).unwrap();
    let client = crate::emulator::sns_client_for(&emulator.endpoint_url(), "other");
    let entry = PublishBatchRequestEntry::builder().id("a").message("m").build().unwrap();
    client.publish_batch().topic_arn(&topic).publish_batch_request_entries(entry).send().await.unwrap();
    let tag = aws_sdk_sns::types::Tag::builder().key("k").value("v").build().unwrap();
    client.create_topic().name("n").tags(tag).send().await.unwrap();
    client.unsubscribe().subscription_arn(arn).send().await.unwrap();
    let uses = emulator.uses();
    let uses: Vec<_> = uses.iter().map(|used| (used.permission.as_str(), used.resource.as_str())).collect();
    assert_eq!(
        uses,
        [("sns:CreateTopic", "n"), ("sns:Publish", "t"), ("sns:TagResource", "n"), ("sns:Unsubscribe", "*")]
    );
    assert_eq!(emulator.calls().of("other", "PublishBatch"), 1);
}
