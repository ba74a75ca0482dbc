//! asyncmcp's Python client at the other end, as its source says it (0.2.1, `sns_sqs/client.py`, `common/aws_queue_utils.py`).

use std::collections::BTreeMap;

use proxy_core::{
    ReplyAddress,
    intake::{ArrivalEvent, Intake, ReplyTo, Settled},
};
use serde_json::Value;

use super::harness::{Worker, attributes, config, listen, publish, reply, topics};
use crate::harness::{RESPONSES, eventually};

/// What `create_common_client_message_attributes` puts beside an `initialize`: no session, and never a revision.
const BESIDE_INITIALIZE: [(&str, &str); 5] = [
    ("MessageType", "jsonrpc"),
    ("Timestamp", "1700000000"),
    ("RequestId", "0"),
    ("Method", "initialize"),
    ("ClientId", "mcp-client-0a1b2c3d"),
];

fn initialize(topic: &str) -> String {
    format!(
        r#"{{"method": "initialize", "params": {{"protocolVersion": "2025-06-18", "capabilities": {{}}, "clientInfo": {{"name": "mcp", "version": "0.1.0"}}, "client_topic_arn": "{topic}"}}, "jsonrpc": "2.0", "id": 0}}"#
    )
}

/// What `create_common_server_message_attributes` puts beside a message of the server.
fn expected(more: &[(&str, &str)]) -> BTreeMap<String, (String, String)> {
    let always = [("MessageType", "jsonrpc"), ("SessionId", "5e3f")];
    let texts = always.iter().chain(more);
    let texts = texts.map(|(name, value)| ((*name).to_owned(), ("String".to_owned(), (*value).to_owned())));
    texts.chain([("Timestamp".to_owned(), ("Number".to_owned(), String::new()))]).collect()
}

#[tokio::test]
async fn a_client_is_heard_in_both_deliveries_and_answered_on_its_topic() {
    for raw in [true, false] {
        let topics = topics(raw).await;
        let answers = topics.responses.clone();
        listen(&topics, &answers, RESPONSES, &[]);
        let mut worker = Worker::start(&topics.emulator, config(&topics), true).await;
        publish(&topics, &BESIDE_INITIALIZE, &initialize(&answers)).await;
        let arrival = worker.arrival().await;
        assert_eq!((arrival.session, arrival.version, arrival.context), (None, None, None));
        assert_eq!(arrival.client_id.as_deref(), Some("mcp-client-0a1b2c3d"));
        let to = ReplyAddress::Sns(answers.as_str().into());
        assert_eq!(arrival.reply, Some(ReplyTo::Address(to.clone())));
        let ArrivalEvent::Message(message) = arrival.event else { panic!("a message") };
        let body: Value = serde_json::from_str(message.as_str()).unwrap();
        assert_eq!(body["params"].get("client_topic_arn"), None);

        let sent = [
            (r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18"}}"#, expected(&[])),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#,
                expected(&[("Method", "notifications/message")]),
            ),
            (
                r#"{"jsonrpc":"2.0","id":0,"method":"roots/list"}"#,
                expected(&[("Method", "roots/list"), ("RequestId", "0")]),
            ),
        ];
        for (text, _) in &sent {
            worker.intake.reply(reply(to.clone(), Some("5e3f"), text)).await.unwrap();
        }
        let received = topics.take_from(RESPONSES, sent.len()).await;
        for (message, (text, beside)) in received.iter().zip(sent) {
            assert_eq!((message.body(), attributes(message)), (Some(text), beside));
        }
        worker.stop().await;
    }
}

#[tokio::test]
async fn what_can_never_be_done_goes_to_the_dead_letters_as_it_came_with_the_reason() {
    for raw in [true, false] {
        let topics = topics(raw).await;
        let mut config = config(&topics);
        config.dead_letter_queue_url = Some(topics.emulator.create_queue("letters", &[]).unwrap());
        let mut worker = Worker::start(&topics.emulator, config, true).await;
        worker.desk.settle_next(Settled::Dead("three workers died of it".into()));
        publish(&topics, &BESIDE_INITIALIZE, &initialize(&topics.responses)).await;
        worker.arrival().await;
        let letter = topics.take_from("letters", 1).await.remove(0);
        let context: Value = serde_json::from_str(&attributes(&letter)["ProxyContext"].1).unwrap();
        assert_eq!(context["reason"], "three workers died of it");
        let body: Value = serde_json::from_str(letter.body().unwrap()).unwrap();
        assert_eq!(body.get("Type").is_some(), !raw, "so that it can be put back");
        let depth = || topics.emulator.depth("requests").unwrap();
        eventually(|| depth().visible + depth().in_flight == 0).await;
        worker.stop().await;
    }
}
