use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use proxy_core::{
    backend::{Event, Inbound},
    id::{InstanceId, RouteKey},
};
use serde_json::json;

use super::*;

const ANSWER: &str = r#"{"jsonrpc":"2.0", "id":"x","result":{"text":"é\n"}}"#;

fn message(body: &str, attributes: &[(&str, &str)]) -> Message {
    let mut message = Message::builder().message_id("m").body(body);
    for (name, value) in attributes {
        let value = MessageAttributeValue::builder().data_type("String").string_value(*value);
        message = message.message_attributes(*name, value.build().unwrap());
    }
    message.build()
}

/// The example of the SNS developer guide ("Amazon SQS", JSON format), with this message and these attributes.
fn envelope(message: &str, attributes: &Value) -> String {
    json!({
        "Type": "Notification",
        "MessageId": "63a3f6b6-d533-4a47-aef9-fcf5cf758c76",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic",
        "Subject": "Testing publish to subscribed queues",
        "Message": message,
        "Timestamp": "2012-03-29T05:12:16.901Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLEnTrFPa3",
        "SigningCertURL": "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
        "UnsubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe",
        "MessageAttributes": attributes
    })
    .to_string()
}

fn route() -> RouteKey {
    RouteKey::random(&InstanceId::random())
}

fn inbound(message: &Message) -> Inbound {
    match decode(message).unwrap() {
        Received::Inbound(inbound) => inbound,
        other => panic!("{other:?}"),
    }
}

fn text(inbound: Inbound) -> String {
    match inbound.event {
        Event::Message(message) => message.into_text(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_deliveries_bring_the_message_byte_for_byte_with_its_session() {
    let route = route();
    let inner = json!({"SessionId": {"Type": "String", "Value": route.as_str()}});
    for message in
        [message(ANSWER, &[("SessionId", route.as_str())]), message(&envelope(ANSWER, &inner), &[])]
    {
        let inbound = inbound(&message);
        assert_eq!(inbound.route.as_ref(), Some(&route));
        assert_eq!(inbound.message_id.as_deref(), Some("m"));
        assert_eq!(text(inbound), ANSWER);
    }
}

#[test]
fn where_an_attribute_stands_twice_that_of_the_message_counts() {
    let (outer, inner) = (route(), route());
    let wrapped = envelope(ANSWER, &json!({"SessionId": {"Type": "String", "Value": inner.as_str()}}));
    assert_eq!(inbound(&message(&wrapped, &[("SessionId", outer.as_str())])).route, Some(outer));
    // and what stands in one of them only comes from there
    assert_eq!(inbound(&message(&wrapped, &[("Method", "x")])).route, Some(inner));
}

#[test]
fn attributes_that_cannot_be_read_lose_no_answer() {
    for attributes in [
        json!(null),
        json!([1]),
        json!("x"),
        json!({"SessionId": 7}),
        json!({"SessionId": {"Value": 7}}),
        json!({"SessionId": {"Type": "Binary", "Value": "c2Vzc2lvbg=="}}),
    ] {
        let inbound = inbound(&message(&envelope(ANSWER, &attributes), &[]));
        assert_eq!(inbound.route, None);
        assert!(inbound.peer.is_none());
        assert_eq!(text(inbound), ANSWER);
    }
}

#[test]
fn what_holds_no_message_is_malformed() {
    let confirmation =
        envelope(ANSWER, &json!({})).replace("\"Notification\"", "\"SubscriptionConfirmation\"");
    let nested = envelope(&envelope(ANSWER, &json!({})), &json!({}));
    for body in [
        "",
        "no json",
        r#"{"Type":"Notification"}"#,
        r#"{"Type":"Notification","Message":{"jsonrpc":"2.0","id":"x","result":{}}}"#,
        &envelope("no json", &json!({})),
        &envelope("[]", &json!({})),
        &confirmation,
        &nested,
    ] {
        let error = decode(&message(body, &[])).expect_err(body);
        assert!(!error.to_string().contains("EXAMPLE"), "{error}");
    }
    assert!(decode(&Message::builder().message_id("m").build()).is_err());
}
