//! The rules of sessions: of which an intake knows none but where their answers go.

use super::{
    target::{IntakeTarget, Place},
    testbed::{Testbed, answer, in_time},
};

/// Every answer goes to its own session's client, however many there are.
pub async fn answers_of_sessions_never_mix(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let mut sessions = Vec::new();
    for place in [Place::First, Place::Second, Place::First, Place::Second] {
        sessions.push((place, testbed.begin(place).await));
    }
    for number in 0..3 {
        for (place, begun) in &sessions {
            let arrival = testbed.call(begun, number).await;
            assert_eq!(arrival.session.as_ref(), Some(&begun.session));
            testbed.reply(begun.reply_to(&arrival, &answer(number))).await;
            let received = testbed.receive().await;
            assert_eq!(received.body, answer(number));
            if !target.answers_by_response() {
                assert_eq!(received.place, Some(testbed.client_side.address(*place).await));
                assert_eq!(received.session.as_deref(), Some(begun.session.as_str()));
            }
        }
    }
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// What is kept for a session goes with it, and the others' messages go on both ways.
pub async fn closing_one_session_harms_no_other(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let (closed, open) = (testbed.begin(Place::First).await, testbed.begin(Place::First).await);
    for _ in 0..2 {
        in_time("closing", testbed.intake.close(&closed.session)).await;
    }
    let arrival = testbed.call(&open, 1).await;
    testbed.reply(open.reply_to(&arrival, &answer(1))).await;
    assert_eq!(testbed.receive().await.body, answer(1));
    assert_eq!(testbed.left_after_stop().await, 0);
}
