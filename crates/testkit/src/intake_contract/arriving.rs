//! The rules of receiving: what reaches the desk, and as what.

use std::time::{Duration, SystemTime};

use proxy_core::{
    ProxyContext,
    id::RemoteSession,
    intake::{ArrivalEvent, ReplyTo},
};
use serde_json::Value;

use super::{
    desk::text,
    target::{Envelope, IntakeTarget, Place},
    testbed::{Testbed, call, context, envelope, initialize, progress},
};

/// How far a transport's clock may be from ours.
const SKEW: Duration = Duration::from_mins(1);

/// What a client or a stranger may send that is no JSON-RPC message.
const NO_MESSAGES: [&str; 7] = [
    "no json",
    "{",
    "[]",
    "null",
    r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#,
    r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#,
    r#"[{"jsonrpc":"2.0","id":"a","method":"m"}]"#,
];

/// A message arrives byte for byte, with the session, the client and the revision that its envelope names, and how it came.
pub async fn a_message_arrives_with_what_its_envelope_says(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let session = testbed.session();
    testbed.put(&session, &call(1)).await;
    let arrival = testbed.desk.wait_for(1).await.remove(0);
    assert_eq!(text(&arrival), call(1));
    assert_eq!(arrival.session.as_ref().map(RemoteSession::as_str), Some(&*session));
    assert_eq!(arrival.client_id.as_deref(), Some("client"));
    assert_eq!(arrival.version.as_deref(), Some("2025-06-18"));
    assert_eq!(arrival.context, None, "a peer that knows none of our extensions");
    assert_eq!(arrival.delivery.receive_count, 1);
    assert!(!arrival.delivery.to_owner, "it came by the way that all take");
    if target.keeps_messages() {
        assert!(arrival.delivery.message_id.is_some(), "what may come again can be told from what is new");
    }
    let now = SystemTime::now();
    assert!(
        arrival.delivery.sent <= now + SKEW && arrival.delivery.sent >= now - SKEW,
        "{:?}",
        arrival.delivery
    );
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// Everything is handed over once, a session's messages in the order in which they were sent.
pub async fn every_message_arrives_once_and_in_order(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::connect(target).await;
    let session = testbed.session();
    let texts: Vec<_> = (0..25).map(call).collect();
    for text in &texts {
        testbed.put(&session, text).await;
    }
    testbed.run();
    testbed.desk.wait_for(texts.len()).await;
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!(testbed.desk.texts(), texts);
}

/// The session that an `initialize` names is the one that it proposes, and it says where its answer goes.
pub async fn an_initialize_proposes_its_session_and_names_its_reply(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let begun = testbed.begin(Place::First).await;
    assert_eq!(begun.arrival.session.is_some(), target.takes_proposals());
    let first = testbed.client_side.address(Place::First).await;
    match begun.to() {
        ReplyTo::Address(address) => assert_eq!(address, first),
        ReplyTo::Response(_) => assert!(target.answers_by_response(), "answers go to an address"),
    }
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// The server never sees where its answers go; all else that the client wrote stays as it was.
pub async fn the_reply_address_is_taken_out_of_the_message(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let begun = testbed.begin(Place::First).await;
    assert_eq!(json(&text(&begun.arrival)), json(&initialize()));
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// What our own proxy says beside a message arrives with it, and its word about where the answer goes holds for every request.
pub async fn what_our_proxy_says_arrives_beside_the_message(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let (session, second) = (testbed.session(), testbed.client_side.address(Place::Second).await);
    let said = ProxyContext {
        deadline: Some(1_900_000_000_000),
        owner: Some("o".into()),
        ..context(second.clone())
    };
    let envelope = Envelope { session: Some(session), context: Some(said.to_json()), ..envelope(&call(1)) };
    testbed.client_side.put(envelope).await;
    let arrival = testbed.desk.wait_for(1).await.remove(0);
    assert_eq!(arrival.context.as_ref(), Some(&said));
    if !target.answers_by_response() {
        assert_eq!(arrival.reply, Some(ReplyTo::Address(second)));
    }
    assert_eq!(text(&arrival), call(1));
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// What stands where our own proxy puts its word, and is none, makes its sender a peer that knows nothing of our extensions.
pub async fn a_context_that_is_none_counts_as_none(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let session = testbed.session();
    let none = ["no json", "{}", r#"{"v":2}"#, r#"{"v":"1"}"#, r#"{"v":1,"reply":{"ftp":"x"}}"#];
    for context in none {
        let context = Some(context.to_owned());
        testbed
            .client_side
            .put(Envelope { session: Some(session.clone()), context, ..envelope(&call(1)) })
            .await;
    }
    let arrivals = testbed.desk.wait_for(none.len()).await;
    assert!(arrivals.iter().all(|arrival| arrival.context.is_none()), "{arrivals:?}");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// What is no JSON-RPC message is settled by the intake, and the next message arrives as if nothing had been.
pub async fn what_is_no_message_never_reaches_the_desk(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let session = testbed.session();
    for body in NO_MESSAGES {
        testbed.put(&session, body).await;
        testbed.client_side.put(envelope(body)).await;
    }
    testbed.put(&session, &progress(1)).await;
    testbed.desk.wait_for(1).await;
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!(testbed.desk.texts(), [progress(1)]);
}

/// Our own proxy can say that a session ends, where the transport has a way for it.
pub async fn a_session_can_be_ended(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let begun = testbed.begin(Place::First).await;
    let ended = testbed.client_side.end(begun.session.as_str()).await;
    let other = testbed.session();
    testbed.put(&other, &progress(1)).await;
    let arrivals = testbed.desk.wait_for(2 + usize::from(ended)).await;
    if ended {
        assert!(matches!(arrivals[1].event, ArrivalEvent::End), "{:?}", arrivals[1]);
        assert_eq!(arrivals[1].session.as_ref(), Some(&begun.session));
    }
    assert_eq!(arrivals.last().map(text), Some(progress(1)), "the others go on");
    assert_eq!(testbed.left_after_stop().await, 0);
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
