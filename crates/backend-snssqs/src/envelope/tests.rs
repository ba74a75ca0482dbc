use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use proxy_core::{
    ProxyContext,
    backend::{Event, Inbound},
    id::{InstanceId, RemoteSession, RouteKey},
    intake::{Arrival, ArrivalEvent, ReplyTo},
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

/// What asyncmcp's client puts beside its messages (0.2.1, `common/aws_queue_utils.py`), with our own proxy's context.
fn beside(session: &str, context: &ProxyContext) -> Vec<(&'static str, String)> {
    vec![
        ("MessageType", "jsonrpc".to_owned()),
        ("RequestId", "7".to_owned()),
        ("Method", "initialize".to_owned()),
        ("SessionId", session.to_owned()),
        ("ClientId", "mcp-client-1".to_owned()),
        ("ProtocolVersion", "2025-06-18".to_owned()),
        ("ProxyContext", context.to_json()),
    ]
}

/// The same message as both deliveries bring it, received for the second time.
fn deliveries(body: &str, attributes: &[(&'static str, String)]) -> [Message; 2] {
    let borrowed: Vec<_> = attributes.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let inner = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!({"Type": "String", "Value": value})));
    let inner = Value::Object(inner.collect());
    [message(body, &borrowed), message(&envelope(body, &inner), &[])].map(|mut message| {
        message.attributes = Some(
            [
                (MessageSystemAttributeName::SentTimestamp, "1700000000123".to_owned()),
                (MessageSystemAttributeName::ApproximateReceiveCount, "2".to_owned()),
            ]
            .into(),
        );
        message
    })
}

fn arrival(message: &Message) -> Arrival {
    match decode_request(message).unwrap() {
        ReceivedRequest::Arrival(arrival) => arrival,
        other @ ReceivedRequest::Own(_) => panic!("{other:?}"),
    }
}

#[test]
fn both_deliveries_bring_a_request_with_all_that_stands_beside_it() {
    let context = ProxyContext { v: 1, deadline: Some(7), ..ProxyContext::default() };
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"capabilities":{},"client_topic_arn":"arn:aws:sns:eu-west-1:1:answers"}}"#;
    for message in deliveries(body, &beside("s1", &context)) {
        let arrival = arrival(&message);
        assert_eq!(arrival.session.as_ref().map(RemoteSession::as_str), Some("s1"));
        assert_eq!(arrival.client_id.as_deref(), Some("mcp-client-1"));
        assert_eq!(arrival.version.as_deref(), Some("2025-06-18"));
        let topic = ReplyAddress::Sns("arn:aws:sns:eu-west-1:1:answers".into());
        assert_eq!(arrival.reply, Some(ReplyTo::Address(topic)));
        assert_eq!(arrival.context, Some(context.clone()));
        assert_eq!(arrival.delivery.message_id.as_deref(), Some("m"));
        assert_eq!(arrival.delivery.receive_count, 2);
        assert_eq!(arrival.delivery.sent, UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
        assert!(!arrival.delivery.to_owner);
        let ArrivalEvent::Message(message) = arrival.event else { panic!("a message") };
        // the server behind the worker is not told where answers go
        let bare = r#"{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"capabilities":{}}}"#;
        assert_eq!(message.as_str(), bare);
    }
}

#[test]
fn the_topic_is_taken_from_either_place_and_from_the_context() {
    let topic = |body: &str, context: &ProxyContext| {
        let [raw, enveloped] =
            deliveries(body, &beside("s1", context)).map(|message| arrival(&message).reply);
        assert_eq!(raw, enveloped);
        match raw {
            Some(ReplyTo::Address(address)) => Some(address),
            Some(ReplyTo::Response(_)) => panic!("an address"),
            None => None,
        }
    };
    let none = ProxyContext::default();
    let main = r#"{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"_meta":{"clientTopicArn":"arn:aws:sns:eu-west-1:1:b"}}}"#;
    assert_eq!(topic(main, &none), Some(ReplyAddress::Sns("arn:aws:sns:eu-west-1:1:b".into())));
    // a call of a session says in its context where the answer goes, whatever kind of address that is
    let call = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"client_topic_arn":"x"}}"#;
    assert_eq!(topic(call, &none), None);
    for address in
        [ReplyAddress::Sns("arn:aws:sns:eu-west-1:1:c".into()), ReplyAddress::Sqs("https://q/1/a".into())]
    {
        let said = ProxyContext { v: 1, reply: Some(address.clone()), ..ProxyContext::default() };
        assert_eq!(topic(call, &said), Some(address));
    }
}

#[test]
fn an_end_and_a_message_to_itself_are_told_apart_in_both_deliveries() {
    let end = ProxyContext { v: 1, end: true, ..ProxyContext::default() };
    for message in deliveries(ProxyContext::END, &beside("s1", &end)) {
        let arrival = arrival(&message);
        assert!(matches!(arrival.event, ArrivalEvent::End));
        assert_eq!(arrival.session.as_ref().map(RemoteSession::as_str), Some("s1"));
    }
    let wake = ProxyContext { v: 1, wake: Some("i".into()), ..ProxyContext::default() };
    for message in deliveries(ProxyContext::END, &beside("s1", &wake)) {
        assert!(matches!(decode_request(&message), Ok(ReceivedRequest::Own(instance)) if *instance == *"i"));
    }
    assert!(decode_request(&message("no json", &[])).is_err());
}
