//! The rules of running, draining, stopping and readiness.

use proxy_core::intake::Settled;

use super::{
    target::{IntakeTarget, Place},
    testbed::{Testbed, answer, call, in_time},
};

/// How often the rest of the process gets its turn while it is shown that something does not happen.
const TURNS: usize = 100;

/// `run` goes on until it is stopped, drained or not, and then ends well, with nothing received as with something.
pub async fn run_ends_only_when_it_is_stopped(target: &dyn IntakeTarget) {
    for drain in [false, true] {
        let mut testbed = Testbed::start(target).await;
        if drain {
            let session = testbed.session();
            testbed.put(&session, &call(1)).await;
            testbed.desk.wait_for(1).await;
            testbed.stopping.drain.cancel();
        }
        take_turns().await;
        assert!(testbed.is_running(), "run ended by itself");
        testbed.stop().await;
    }
}

/// While it drains, what is in hand goes on, replies are sent, and what comes is taken or left to others.
pub async fn draining_loses_nothing_and_still_replies(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let begun = testbed.begin(Place::First).await;
    let settle = testbed.desk.settle_next_later();
    let arrival = testbed.call(&begun, 1).await;
    testbed.stopping.drain.cancel();
    take_turns().await;
    testbed.reply(begun.reply_to(&arrival, &answer(1))).await;
    assert_eq!(testbed.receive().await.body, answer(1));
    assert!(settle.send(Settled::Done).is_ok(), "the settlement is awaited");
    testbed.put(begun.session.as_str(), &call(2)).await;
    let left = testbed.left_after_stop().await;
    let taken = testbed.desk.texts().iter().filter(|text| **text == call(2)).count();
    if target.keeps_messages() {
        assert_eq!(left + taken, 1, "it is taken, or still there");
    }
}

/// When it is stopped, `run` waits for what it has in hand, and tells the transport what became of it.
pub async fn stopping_finishes_what_was_in_hand(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    if !target.keeps_messages() {
        return testbed.stop().await;
    }
    let settle = testbed.desk.settle_next_later();
    let session = testbed.session();
    testbed.put(&session, &call(1)).await;
    testbed.desk.wait_for(1).await;
    testbed.stopping.drain.cancel();
    testbed.stopping.stop.cancel();
    take_turns().await;
    assert!(testbed.is_running(), "run ended with a message in hand");
    assert!(settle.send(Settled::Done).is_ok(), "the settlement is awaited");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// Readiness can be asked for at any time and changes nothing.
pub async fn checking_changes_nothing(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    for _ in 0..3 {
        let checked = in_time("a check", testbed.intake.check()).await;
        assert!(checked.is_ok(), "the transport can be reached: {checked:?}");
    }
    let begun = testbed.begin(Place::First).await;
    let arrival = testbed.call(&begun, 1).await;
    testbed.reply(begun.reply_to(&arrival, &answer(1))).await;
    assert_eq!(testbed.receive().await.body, answer(1), "a check sends nothing");
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!(testbed.desk.arrivals().len(), 2);
}

async fn take_turns() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}
