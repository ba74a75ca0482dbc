//! The rules of acknowledging: what became of an arrival is what the transport is told.

use std::time::Duration;

use proxy_core::intake::Settled;
use tokio::time::sleep;

use super::{
    desk::text,
    target::{DeadLetter, IntakeTarget},
    testbed::{Testbed, call},
};

/// Why a message is dead.
const REASON: &str = "the suite says so";

/// An arrival is not acknowledged while nothing is known of what becomes of it.
pub async fn nothing_is_acknowledged_before_it_is_settled(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let settle = testbed.desk.settle_next_later();
    let session = testbed.session();
    testbed.put(&session, &call(1)).await;
    testbed.desk.wait_for(1).await;
    if target.keeps_messages() {
        assert_eq!(testbed.client_side.unacknowledged().await, 1);
    }
    assert!(settle.send(Settled::Done).is_ok(), "the settlement is awaited");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// What is done is acknowledged, and does not come again.
pub async fn what_is_done_is_acknowledged(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let session = testbed.session();
    for number in 0..2 {
        testbed.put(&session, &call(number)).await;
    }
    testbed.desk.wait_for(2).await;
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!(testbed.desk.texts(), [call(0), call(1)]);
}

/// What cannot be done now comes again after a while, counted, and is acknowledged only then.
pub async fn what_is_given_back_comes_again(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    if !target.keeps_messages() {
        return testbed.stop().await;
    }
    testbed.desk.settle_next(Settled::GiveBack(Duration::from_secs(1)));
    let session = testbed.session();
    testbed.put(&session, &call(1)).await;
    let arrivals = testbed.desk.wait_for(2).await;
    assert_eq!([text(&arrivals[0]), text(&arrivals[1])], [call(1), call(1)]);
    assert_eq!(arrivals[0].delivery.receive_count, 1);
    assert!(arrivals[1].delivery.receive_count > 1, "{:?}", arrivals[1].delivery);
    assert_eq!(arrivals[0].delivery.message_id, arrivals[1].delivery.message_id);
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// What can never be done does not come again: it is in the dead-letter place with the reason, or gone where there is none.
pub async fn what_is_dead_is_out_of_the_way(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    testbed.desk.settle_next(Settled::Dead(REASON.into()));
    let session = testbed.session();
    for number in 0..2 {
        testbed.put(&session, &call(number)).await;
    }
    testbed.desk.wait_for(2).await;
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!(testbed.desk.texts(), [call(0), call(1)]);
    if let Some(dead) = testbed.client_side.dead_letters().await {
        assert_eq!(dead, [DeadLetter { body: call(0), reason: Some(REASON.to_owned()) }]);
    }
}

/// A transport that gives out twice what is in hand makes no second message of it: whatever reaches the desk says that it was
/// there before, and all of it is acknowledged by what becomes of it.
pub async fn a_redelivery_is_recognised(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let settle = testbed.desk.settle_next_later();
    let session = testbed.session();
    testbed.put(&session, &call(1)).await;
    testbed.desk.wait_for(1).await;
    if testbed.client_side.redeliver().await {
        // of another session, since a FIFO group gives out nothing more meanwhile
        let other = testbed.session();
        testbed.put(&other, &call(2)).await;
        let texts = |testbed: &Testbed| testbed.desk.texts();
        let mut count = 2;
        while !texts(&testbed).contains(&call(2)) {
            testbed.desk.wait_for(count).await;
            count += 1;
        }
    }
    assert!(settle.send(Settled::Done).is_ok(), "the settlement is awaited");
    assert_eq!(testbed.left_after_stop().await, 0);
    let arrivals = testbed.desk.arrivals();
    let (first, others) = arrivals.split_first().unwrap_or_else(|| panic!("something arrived"));
    for again in others.iter().filter(|again| text(again) == call(1)) {
        assert!(again.delivery.receive_count > 1, "{:?}", again.delivery);
        assert_eq!(again.delivery.message_id, first.delivery.message_id);
    }
}

/// While nothing is known of what becomes of an arrival, nobody else is given it, however long that takes.
pub async fn what_is_in_hand_is_kept_from_being_given_out_again(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    if !target.keeps_messages() {
        return testbed.stop().await;
    }
    let settle = testbed.desk.settle_next_later();
    let session = testbed.session();
    testbed.put(&session, &call(1)).await;
    testbed.desk.wait_for(1).await;
    sleep(target.visibility() * 2).await; // allowed: the transport's own clock is what is tried
    assert_eq!(testbed.desk.texts(), [call(1)]);
    assert_eq!(testbed.client_side.unacknowledged().await, 1);
    assert!(settle.send(Settled::Done).is_ok(), "the settlement is awaited");
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!(testbed.desk.texts(), [call(1)]);
}

/// A call that runs for long keeps nothing else from arriving and from being acknowledged.
pub async fn a_settlement_that_takes_long_holds_nothing_up(target: &dyn IntakeTarget) {
    const MANY: u64 = 30;
    let mut testbed = Testbed::start(target).await;
    let settles: Vec<_> = (0..MANY).map(|_| testbed.desk.settle_next_later()).collect();
    for number in 0..=MANY {
        let session = testbed.session();
        testbed.put(&session, &call(number)).await;
    }
    testbed.desk.wait_for(settles.len() + 1).await;
    for settle in settles {
        assert!(settle.send(Settled::Done).is_ok(), "the settlement is awaited");
    }
    assert_eq!(testbed.left_after_stop().await, 0);
}
