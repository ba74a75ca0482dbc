//! The rules of replying.

use std::{collections::BTreeSet, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use proxy_core::{
    ProxyContext,
    error::{Delivery, ErrorKind},
    intake::{Receipt, Refused, Settled, Taken},
};
use tokio::{task::JoinSet, time::Instant};

use super::{
    target::{IntakeTarget, Place, Told},
    testbed::{Begun, Testbed, answer, call, envelope, in_time, progress},
};

/// More than one batch of any transport.
const MANY: u64 = 50;

/// How long a reply may go on, and how long it may take to notice that.
const DEADLINE: Duration = Duration::from_secs(2);
const PROMPT: Duration = Duration::from_secs(10);

/// What answers an `initialize`.
const INITIALIZED: &str =
    r#"{"jsonrpc":"2.0","id":"i","result":{"protocolVersion":"2025-06-18","capabilities":{}} }"#;

/// A reply goes to the address that its client named, byte for byte, and to no other.
pub async fn a_reply_goes_where_it_was_asked_to(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    for place in [Place::Second, Place::First] {
        let begun = testbed.begin(place).await;
        testbed.reply(begun.reply(INITIALIZED)).await;
        let received = testbed.receive().await;
        assert_eq!(received.body, INITIALIZED);
        let expected = testbed.client_side.address(place).await;
        assert_eq!(received.place, Some(expected).filter(|_| !target.answers_by_response()));
    }
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// A reply names its session, and says beside it what our own proxy wants to know, to none but it.
pub async fn a_reply_carries_its_session_and_what_is_said_beside_it(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let said = ProxyContext {
        v: ProxyContext::VERSION,
        eras: vec!["legacy".into()],
        seq: Some(3),
        owner: Some("o".into()),
        ..ProxyContext::default()
    };
    for context in [Some(said), None] {
        let begun = testbed.begin(Place::First).await;
        let mut reply = begun.reply(INITIALIZED);
        reply.context.clone_from(&context);
        testbed.reply(reply).await;
        let received = testbed.receive().await;
        if !target.answers_by_response() {
            // there the head of the response names it, by what the desk said at once
            assert_eq!(received.session.as_deref(), Some(begun.session.as_str()));
            let came = received.context.as_deref().map(ProxyContext::parse);
            assert_eq!(came, context.map(Some), "nothing is said to those who did not ask");
        }
    }
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// What belongs to one request comes in the order in which it was sent back, its answer last.
pub async fn replies_of_an_exchange_keep_their_order(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let begun = testbed.begin(Place::First).await;
    let arrival = testbed.call(&begun, 1).await;
    let texts: Vec<_> = (0..12).map(progress).chain([answer(1)]).collect();
    for text in &texts {
        testbed.reply(begun.reply_to(&arrival, text)).await;
    }
    for text in texts {
        assert_eq!(testbed.receive().await.body, text);
    }
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// However replies are put together, each comes, once.
pub async fn every_one_of_many_replies_at_once_comes_once(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let begun = testbed.begin(Place::First).await;
    let mut replies = JoinSet::new();
    for number in 0..MANY {
        let arrival = testbed.call(&begun, number).await;
        let (intake, reply) = (Arc::clone(&testbed.intake), begun.reply_to(&arrival, &answer(number)));
        replies.spawn(async move { in_time("a reply", intake.reply(reply)).await });
    }
    let mut came = BTreeSet::new();
    for _ in 0..MANY {
        assert!(came.insert(testbed.receive().await.body), "a reply came twice");
    }
    assert_eq!(came, (0..MANY).map(answer).collect());
    assert!(replies.join_all().await.iter().all(Result::is_ok));
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// A reply over the transport's limit is refused with `TooLarge` and `NotSent`, and nothing is sent.
pub async fn a_reply_that_is_too_large_is_refused_and_not_sent(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let begun = testbed.begin(Place::First).await;
    let arrival = testbed.call(&begun, 1).await;
    let limit = testbed.intake.limits().message_bytes;
    let large = format!(r#"{{"jsonrpc":"2.0","id":"call-1","result":{{"p":"{}"}}}}"#, "x".repeat(limit));
    match in_time("a reply", testbed.intake.reply(begun.reply_to(&arrival, &large))).await {
        Ok(()) => panic!("a message over the limit is refused"),
        Err(error) => {
            assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::NotSent));
            let sentence = error.to_string();
            assert!(sentence.contains(&limit.to_string()), "the error names the limit: {sentence}");
        }
    }
    testbed.reply(begun.reply_to(&arrival, &answer(1))).await;
    assert_eq!(testbed.receive().await.body, answer(1), "only what came after it was sent");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// Dropping a reply may or may not have sent it; later ones are as good as ever.
pub async fn a_dropped_reply_harms_no_other(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let begun = testbed.begin(Place::First).await;
    let (dropped, kept) = (testbed.call(&begun, 1).await, testbed.call(&begun, 2).await);
    {
        let mut replying = testbed.intake.reply(begun.reply_to(&dropped, &answer(1)));
        poll_fn(|context| {
            drop(replying.as_mut().poll(context));
            Poll::Ready(())
        })
        .await;
    }
    testbed.reply(begun.reply_to(&kept, &answer(2))).await;
    let first = testbed.receive().await.body;
    if first != answer(2) {
        assert_eq!(first, answer(1));
        assert_eq!(testbed.receive().await.body, answer(2));
    }
    testbed.stop().await;
}

/// `reply` resolves once the transport has durably accepted the message: it comes though the intake is gone by then.
pub async fn what_was_sent_back_is_kept_though_the_intake_goes(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let begun = testbed.begin(Place::First).await;
    testbed.reply(begun.reply(INITIALIZED)).await;
    testbed.stop().await;
    let Testbed { intake, mut client_side, .. } = testbed;
    drop(intake);
    assert_eq!(in_time("what was sent back", client_side.receive()).await.body, INITIALIZED);
}

/// A reply to an address that is not there any more fails, by its deadline at the latest, and later ones are as good as ever.
pub async fn a_reply_to_nowhere_fails_and_harms_nothing(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    if target.answers_by_response() {
        return testbed.stop().await;
    }
    let (gone, begun) = (testbed.begin(Place::Vanished).await, testbed.begin(Place::First).await);
    fails_by_its_deadline(&testbed, &gone).await;
    testbed.reply(begun.reply(INITIALIZED)).await;
    assert_eq!(testbed.receive().await.body, INITIALIZED);
    assert!(testbed.is_running(), "run ended by itself");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// While the transport is down a reply is tried until its deadline and no longer, and says that nothing was sent.
pub async fn a_reply_that_cannot_be_sent_ends_at_its_deadline(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let begun = testbed.begin(Place::First).await;
    if testbed.client_side.go_down().await {
        fails_by_its_deadline(&testbed, &begun).await;
    } else {
        testbed.stop().await;
    }
}

async fn fails_by_its_deadline(testbed: &Testbed, begun: &Begun) {
    let started = Instant::now();
    let mut reply = begun.reply(INITIALIZED);
    reply.deadline = started + DEADLINE;
    match in_time("a reply", testbed.intake.reply(reply)).await {
        Ok(()) => panic!("nothing can be sent there"),
        Err(error) => {
            assert_eq!(error.delivery(), Delivery::NotSent, "{error:?}");
            assert!(!error.to_string().is_empty(), "it says what happened");
            assert!(started.elapsed() < DEADLINE + PROMPT, "after {:?}", started.elapsed());
        }
    }
}

/// Where a transport has responses of its own they say at once what became of a message: opened under this session, taken, or not.
pub async fn a_client_is_told_at_once_where_it_can_be(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    if !testbed.intake.has_receipts() {
        assert_eq!(in_time("the receipt", testbed.client_side.receipt()).await, None);
        return testbed.stop().await;
    }
    let begun = testbed.begin(Place::First).await;
    if target.answers_by_response() {
        // its head, which names the session, comes with the answer
        testbed.reply(begun.reply(INITIALIZED)).await;
        assert_eq!(testbed.receive().await.body, INITIALIZED);
    }
    let opened = in_time("the receipt", testbed.client_side.receipt()).await;
    assert_eq!(opened, Some(Told::Taken(Some(begun.session.as_str().to_owned()))));
    testbed.put(begun.session.as_str(), &progress(1)).await;
    let taken = in_time("the receipt", testbed.client_side.receipt()).await;
    assert!(matches!(taken, Some(Told::Taken(_))), "{taken:?}");
    let refusals =
        [Refused::UnknownSession, Refused::NoSession, Refused::Draining, Refused::Invalid("because".into())];
    for refused in refusals {
        let taken = Taken { receipt: Receipt::Refused(refused), settled: Box::pin(async { Settled::Done }) };
        testbed.desk.take_next(taken);
        testbed.put(begun.session.as_str(), &call(1)).await;
        assert_eq!(in_time("the receipt", testbed.client_side.receipt()).await, Some(Told::Refused));
    }
    testbed.client_side.put(envelope("no message")).await;
    assert_eq!(in_time("the receipt", testbed.client_side.receipt()).await, Some(Told::Refused));
    assert_eq!(testbed.left_after_stop().await, 0);
}
