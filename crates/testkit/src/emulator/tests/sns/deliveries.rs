//! What reaches the queues.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value as Json;

use super::*;

/// AWS, "Fanout Amazon SNS notifications to Amazon SQS queues" and "Parsing Amazon SNS message formats".
#[tokio::test]
async fn an_envelope_is_as_aws_writes_it() {
    let (emulator, topic, url) = with_topic(&[]).await;
    let subscription = emulator.subscribe(&topic, &url, false, None).unwrap();
    let publish = emulator.sns_client().publish().topic_arn(&topic).message("{\"a\":\"ä\"}").subject("Re: b");
    let publish = publish.message_attributes("SessionId", attribute("String", "s\"1"));
    let sent = publish.message_group_id("fair").send().await.unwrap();
    let message = receive(&emulator.client(), &url).await.remove(0);
    let envelope: Json = serde_json::from_str(message.body().unwrap()).unwrap();
    let timestamp = envelope["Timestamp"].as_str().unwrap();
    let expected = format!(
        "{{\n  \"Type\" : \"Notification\",\n  \"MessageId\" : \"{}\",\n  \"TopicArn\" : \"{topic}\",\n  \
         \"Subject\" : \"Re: b\",\n  \"Message\" : \"{{\\\"a\\\":\\\"ä\\\"}}\",\n  \"Timestamp\" : \"{timestamp}\",\n  \
         \"SignatureVersion\" : \"1\",\n  \"Signature\" : \"EMULATED\",\n  \"SigningCertURL\" : \
         \"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-emulated.pem\",\n  \"UnsubscribeURL\" : \
         \"https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription}\",\n  \
         \"MessageAttributes\" : {{\n    \"SessionId\" : {{\"Type\":\"String\",\"Value\":\"s\\\"1\"}}\n  }}\n}}",
        sent.message_id().unwrap()
    );
    assert_eq!(message.body(), Some(expected.as_str()));
    assert_eq!((timestamp.len(), &timestamp[10..11], &timestamp[23..]), (24, "T", "Z"));
    assert_eq!(message.message_attributes(), None);
}

/// AWS, "Amazon SNS raw message delivery": the attributes become the SQS message's.
#[tokio::test]
async fn a_raw_copy_is_the_message_itself() {
    let (emulator, topic, url) = with_topic(&[]).await;
    emulator.subscribe(&topic, &url, true, None).unwrap();
    let publish = emulator.sns_client().publish().topic_arn(&topic).message("m\n<&>\u{1F600}");
    let blob = aws_sdk_sns::primitives::Blob::new([0, 255]);
    let binary = Value::builder().data_type("Binary").binary_value(blob).build().unwrap();
    let publish = publish.message_attributes("n", attribute("Number", "1")).message_attributes("b", binary);
    publish.send().await.unwrap();
    let message = receive(&emulator.client(), &url).await.remove(0);
    assert_eq!(message.body(), Some("m\n<&>\u{1F600}"));
    let number = MessageAttributeValue::builder().data_type("Number").string_value("1").build().unwrap();
    let blob = aws_sdk_sqs::primitives::Blob::new([0, 255]);
    let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(blob).build().unwrap();
    let expected = HashMap::from([("n".to_owned(), number), ("b".to_owned(), binary)]);
    assert_eq!(message.message_attributes(), Some(&expected));
}

/// AWS, "Amazon SNS raw message delivery": more than 10 attributes and the message is discarded as a client-side error.
#[tokio::test]
async fn a_raw_copy_with_eleven_attributes_is_lost() {
    let (emulator, topic, url) = with_topic(&[]).await;
    let other = emulator.create_queue("enveloped", &[]).unwrap();
    emulator.let_send(&[&topic], &other).unwrap();
    emulator.subscribe(&topic, &url, true, None).unwrap();
    emulator.subscribe(&topic, &other, false, None).unwrap();
    for count in [10, 11] {
        let mut publish = emulator.sns_client().publish().topic_arn(&topic).message("m");
        for number in 0..count {
            publish = publish.message_attributes(format!("n{number}"), attribute("String", "x"));
        }
        publish.send().await.unwrap();
    }
    assert_eq!(emulator.depth("q").unwrap().visible, 1);
    assert_eq!(emulator.depth("enveloped").unwrap().visible, 2);
}

/// AWS, "Subscribing an Amazon SQS queue to an Amazon SNS topic", step 2: without permission nothing arrives.
#[tokio::test]
async fn a_queue_whose_policy_does_not_let_the_topic_send_gets_nothing() {
    let (emulator, topic, url) = with_topic(&[]).await;
    let (sns, sqs) = (emulator.sns_client(), emulator.client());
    emulator.subscribe(&topic, &url, true, None).unwrap();
    let depth_after = async || {
        sns.publish().topic_arn(&topic).message("m").send().await.unwrap();
        emulator.depth("q").unwrap().visible
    };
    assert_eq!(depth_after().await, 1);
    emulator.let_send(&["arn:aws:sns:us-east-1:000000000000:other"], &url).unwrap();
    assert_eq!(depth_after().await, 1);
    let set = |name, value| sqs.set_queue_attributes().queue_url(&url).attributes(name, value).send();
    set(QueueAttributeName::Policy, "").await.unwrap();
    assert_eq!(depth_after().await, 1);
    emulator.let_send(&["arn:aws:sns:us-east-1:000000000000:other", &topic], &url).unwrap();
    assert_eq!(depth_after().await, 2);
    set(QueueAttributeName::KmsMasterKeyId, "alias/aws/sqs").await.unwrap();
    assert_eq!(depth_after().await, 2);
}

#[tokio::test]
async fn copies_to_a_deleted_queue_are_lost() {
    let (emulator, topic, url) = with_topic(&[]).await;
    emulator.subscribe(&topic, &url, true, None).unwrap();
    emulator.client().delete_queue().queue_url(&url).send().await.unwrap();
    emulator.sns_client().publish().topic_arn(&topic).message("m").send().await.unwrap();
    assert_eq!(emulator.depth("q"), None);
    let listed = emulator.sns_client().list_subscriptions_by_topic().topic_arn(&topic).send().await.unwrap();
    assert_eq!(listed.subscriptions().len(), 1);
}

#[tokio::test]
async fn a_published_message_wakes_a_waiting_receive() {
    let (emulator, topic, url) = with_topic(&[]).await;
    emulator.subscribe(&topic, &url, true, None).unwrap();
    let (sqs, sns) = (emulator.client(), emulator.sns_client());
    let poll = sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let publish = sns.publish().topic_arn(&topic).message("m").send();
    let (received, published) = tokio::join!(poll, publish);
    published.unwrap();
    assert_eq!(bodies(received.unwrap().messages()), ["m"]);
}

/// AWS, `Publish`, `MessageStructure`: the text of the protocol, or the default's.
#[tokio::test]
async fn queues_get_the_text_that_is_theirs() {
    let (emulator, topic, url) = with_topic(&[]).await;
    emulator.subscribe(&topic, &url, true, None).unwrap();
    for message in [r#"{"default":"d","sqs":"q"}"#, r#"{"default":"d"}"#] {
        let publish = emulator.sns_client().publish().topic_arn(&topic).message(message);
        publish.message_structure("json").send().await.unwrap();
    }
    assert_eq!(bodies(&receive(&emulator.client(), &url).await), ["q", "d"]);
}
