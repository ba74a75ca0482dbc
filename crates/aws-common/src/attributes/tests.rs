//! What a message's attributes say, out and in.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_sqs::types::{self, MessageAttributeValue, MessageSystemAttributeName};
use proxy_core::{
    ProtocolVersion, ProxyContext, ReplyAddress,
    backend::{Context, Event, Inbound, Outbound, Peer, Remote},
    error::ErrorKind,
    id::{InstanceId, RemoteSession, RouteKey, WireId},
    intake::Arrival,
    message::Message,
};
use tokio::time::{Duration, Instant};

use super::{Envelope, OutgoingMessage, Received, ReceivedRequest, decode, decode_request, seal_forwarded};

fn envelope(operator: &[(&str, &str)]) -> Envelope {
    try_envelope(operator).unwrap()
}

fn try_envelope(operator: &[(&str, &str)]) -> Result<Envelope, proxy_core::error::BackendError> {
    let operator: BTreeMap<_, _> =
        operator.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Envelope::new("client", &operator)
}

fn reply() -> ReplyAddress {
    ReplyAddress::Sqs("https://queue".into())
}

fn outbound(text: &str, version: Option<ProtocolVersion>, peer: Option<Peer>) -> Outbound {
    Outbound {
        remote: Remote { route: RouteKey::random(&InstanceId::random()), peer: peer.map(Arc::new) },
        about: None,
        number: 0,
        context: Context { version, deadline: Instant::now() + Duration::from_mins(1) },
        message: Message::parse(text).unwrap(),
    }
}

fn value<'message>(message: &'message OutgoingMessage, name: &str) -> Option<&'message str> {
    message.attributes.iter().find(|attribute| &*attribute.name == name).map(|attribute| &*attribute.value)
}

fn received(body: &str, attributes: &[(&str, &str)]) -> types::Message {
    let mut message = types::Message::builder().body(body).message_id("m").receipt_handle("r");
    for (name, value) in attributes {
        let value = MessageAttributeValue::builder().data_type("String").string_value(*value);
        message = message.message_attributes(*name, value.build().unwrap());
    }
    message.build()
}

fn inbound(body: &str, attributes: &[(&str, &str)]) -> Inbound {
    match decode(&received(body, attributes)).unwrap() {
        Received::Inbound(inbound) => inbound,
        Received::Wake(_) | Received::Probe(_) => panic!("a message of an instance to itself"),
    }
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"x:1","method":"initialize","params":{}}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":"x:2","method":"tools/call","params":{}}"#;

#[test]
fn initialize_proposes_the_route_key_and_says_where_the_answer_goes() {
    let outbound = outbound(INITIALIZE, Some(ProtocolVersion::LATEST), None);
    let message = envelope(&[]).seal(&outbound, &reply());
    assert_eq!(value(&message, "SessionId"), Some(outbound.remote.route.as_str()));
    assert_eq!(value(&message, "Method"), Some("initialize"));
    assert_eq!(value(&message, "RequestId"), Some("x:1"));
    assert_eq!(value(&message, "ProtocolVersion"), None);
    let context = ProxyContext::parse(value(&message, "ProxyContext").unwrap()).unwrap();
    assert_eq!(context.reply, Some(ReplyAddress::Sqs("https://queue".into())));
    assert!(context.deadline.is_some());
}

#[test]
fn the_fullest_message_has_ten_attributes_with_the_claim_check() {
    let peer = Peer { eras: vec!["legacy".into()], ..Peer::default() };
    let message = envelope(&[("team", "search")])
        .seal(&outbound(CALL, Some(ProtocolVersion::LATEST), Some(peer)), &reply());
    assert_eq!(message.attributes.len() + 1, 10);
}

#[test]
fn a_peer_that_did_not_announce_itself_gets_no_context_and_its_own_session_id() {
    let peer = Peer { session: RemoteSession::parse("theirs").ok(), ..Peer::default() };
    let message = envelope(&[]).seal(&outbound(CALL, Some(ProtocolVersion::LATEST), Some(peer)), &reply());
    assert_eq!(value(&message, "ProxyContext"), None);
    assert_eq!(value(&message, "SessionId"), Some("theirs"));
    assert_eq!(value(&message, "ProtocolVersion"), Some("2025-11-25"));
}

#[test]
fn what_aws_would_refuse_is_left_out_or_escaped() {
    let hostile = "{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"a\\u0000b\",\"params\":{\"text\":\"\u{FFFE}\u{FFFF}\"}}";
    let message = envelope(&[]).seal(&outbound(hostile, None, None), &reply());
    assert_eq!((value(&message, "Method"), value(&message, "RequestId")), (None, None));
    assert!(message.body.ends_with(r#"{"text":"\uFFFE\uFFFF"}}"#), "{}", message.body);
}

#[test]
fn the_size_is_counted_as_aws_counts_it() {
    let message = OutgoingMessage {
        body: "four".into(),
        attributes: vec![super::Attribute {
            name: "ab".into(),
            data_type: super::DataType::Number,
            value: "1".into(),
        }],
        group: None,
    };
    assert_eq!(message.size(), 4 + 2 + "Number".len() + 1);
}

#[test]
fn an_operators_attributes_must_fit() {
    for operator in [
        &[("a", "1"), ("b", "2")][..],
        &[("SessionId", "1")],
        &[("ProxyContext", "1")],
        &[("AWS.x", "1")],
        &[("a b", "1")],
        &[("a", "")],
        &[("a", "\u{7}")],
    ] {
        assert_eq!(try_envelope(operator).unwrap_err().kind(), ErrorKind::Config, "{operator:?}");
    }
}

#[test]
fn a_workers_context_is_read() {
    let route = RouteKey::random(&InstanceId::random());
    let related = WireId::new(route.clone(), 7);
    let context = format!(
        r#"{{"v":1,"eras":["legacy"],"related":"{related}","seq":3,"owner":"https://q","later":[1]}}"#
    );
    let read = inbound(
        r#"{"jsonrpc":"2.0","method":"notifications/message"}"#,
        &[("SessionId", route.as_str()), ("ProxyContext", &context)],
    );
    assert_eq!((read.route, read.related, read.sequence), (Some(route), Some(related), Some(3)));
    assert_eq!(
        read.peer,
        Some(Peer {
            session: None,
            owner: Some("https://q".into()),
            eras: vec!["legacy".into()],
            ..Peer::default()
        })
    );
}

#[test]
fn a_session_id_of_the_peers_own_is_no_route() {
    let read = inbound(r#"{"jsonrpc":"2.0","id":"1","result":{}}"#, &[("SessionId", "0123abc")]);
    assert_eq!(read.route, None);
    assert_eq!(read.peer.unwrap().session, RemoteSession::parse("0123abc").ok());
}

#[test]
fn a_session_that_is_gone_is_found_by_the_answers_id_too() {
    let route = RouteKey::random(&InstanceId::random());
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":"{}:1","error":{{"code":-32001,"message":"x"}}}}"#, route.as_str());
    let read = inbound(&body, &[("ProxyContext", r#"{"v":1,"gone":true}"#)]);
    assert_eq!(read.route, Some(route));
    assert!(matches!(read.event, Event::SessionGone(_)));
}

#[test]
fn a_broken_context_costs_no_answer() {
    for context in ["", "{", "[]", r#"{"v":2,"gone":true}"#, r#"{"v":1,"seq":"x"}"#] {
        let read = inbound(r#"{"jsonrpc":"2.0","id":"1","result":{}}"#, &[("ProxyContext", context)]);
        assert!(matches!(read.event, Event::Message(_)), "{context}");
    }
}

#[test]
fn a_malformed_body_is_told_without_it() {
    for body in ["", "secret", r#"{"secret":1}"#, r#"[{"jsonrpc":"2.0","method":"secret"}]"#] {
        let error = decode(&received(body, &[])).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{body}");
    }
}

#[test]
fn in_a_fifo_queue_the_handshake_and_each_exchange_are_groups_and_what_must_overtake_has_its_own() {
    let fifo = envelope(&[]).for_destination("https://sqs.eu-west-1.amazonaws.com/1/requests.fifo");
    let route = RouteKey::random(&InstanceId::random());
    let wire = |number| WireId::new(route.clone(), number);
    let group = |text: &str, about: Option<WireId>, number| {
        let mut outbound = outbound(text, None, None);
        outbound.remote.route = route.clone();
        (outbound.about, outbound.number) = (about, number);
        fifo.seal(&outbound, &reply()).group.unwrap()
    };
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}"#;
    let answer = r#"{"jsonrpc":"2.0","id":0,"result":{}}"#;
    let initialize = group(INITIALIZE, Some(wire(1)), 0);
    assert_eq!(initialize.id, group(initialized, None, 1).id);
    let groups = [
        initialize,
        group(CALL, Some(wire(2)), 2),
        group(CALL, Some(wire(3)), 3),
        group(answer, Some(wire(2)), 4),
        group(cancelled, Some(wire(3)), 5),
        group(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#, None, 6),
    ];
    let ids: std::collections::BTreeSet<_> = groups.iter().map(|group| &group.id).collect();
    let deduplication_ids: std::collections::BTreeSet<_> =
        groups.iter().map(|group| &group.deduplication_id).collect();
    assert_eq!((ids.len(), deduplication_ids.len()), (6, 6));
    // SQS SendMessage: MessageGroupId and MessageDeduplicationId have up to 128 alphanumeric characters and punctuation
    for id in ids.iter().chain(&deduplication_ids) {
        assert!(id.len() <= 128 && id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}");
    }
    assert_eq!(
        envelope(&[])
            .for_destination("https://queue/requests")
            .seal(&outbound(CALL, None, None), &reply())
            .group,
        None
    );
}

fn arrival(body: &str, attributes: &[(&str, &str)], receive_count: u32) -> Arrival {
    let mut message = received(body, attributes);
    let count = (MessageSystemAttributeName::ApproximateReceiveCount, receive_count.to_string());
    message.attributes = Some([count].into());
    match decode_request(&message).unwrap() {
        ReceivedRequest::Arrival(arrival) => arrival,
        ReceivedRequest::Own(_) => panic!("a message of an instance to itself"),
    }
}

/// What arrives where this arrival is passed on to, and is received so often.
fn passed_on(from: &Arrival, receive_count: u32) -> Arrival {
    let message = seal_forwarded(from, "https://queue");
    let attributes: Vec<_> =
        message.attributes.iter().map(|attribute| (&*attribute.name, &*attribute.value)).collect();
    arrival(&message.body, &attributes, receive_count)
}

#[test]
fn how_often_a_request_was_received_before_it_was_passed_on_counts() {
    let call = r#"{"jsonrpc":"2.0","id":"1","method":"tools/call"}"#;
    let context = ("ProxyContext", r#"{"v":1,"deadline":7}"#);
    for attributes in [vec![("SessionId", "s")], vec![("SessionId", "s"), context]] {
        let count = |first, then| passed_on(&arrival(call, &attributes, first), then).delivery.receive_count;
        assert_eq!((count(1, 1), count(1, 2)), (1, 2));
        assert_eq!((count(2, 1), count(3, 2)), (2, 4), "it may have been begun before it was passed on");
    }
    let first = arrival(call, &[("SessionId", "s"), context], 2);
    assert_eq!(passed_on(&first, 1).context, first.context);
}

#[test]
fn what_a_peer_wrote_in_a_context_can_be_passed_on() {
    // as JSON it came without the characters that AWS refuses
    let context = r#"{"v":1,"owner":"a\ufffeb\uffffc"}"#;
    let call = r#"{"jsonrpc":"2.0","id":"1","method":"tools/call"}"#;
    let first = arrival(call, &[("ProxyContext", context)], 1);
    let message = seal_forwarded(&first, "https://queue");
    let sent = value(&message, "ProxyContext").unwrap();
    assert!(!sent.contains(['\u{fffe}', '\u{ffff}']), "{sent:?}");
    assert_eq!(passed_on(&first, 1).context, first.context);
}
