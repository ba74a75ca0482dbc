//! The rules where several workers read one transport: what is another's reaches that one, or its client hears that it is gone.

use std::sync::Arc;

use proxy_core::{
    error::ErrorKind,
    id::{RemoteSession, RouteKey},
};

use super::{
    desk::{ScriptedDesk, text},
    target::{AnotherWorker, Envelope, IntakeTarget, Place},
    testbed::{Testbed, call, context, envelope, in_time},
};

/// What is passed on to its session's worker arrives there as it came here: by the way that is that worker's own.
pub async fn what_is_forwarded_reaches_its_owner(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let Some((owner, others)) = run_another(&mut testbed).await else { return testbed.stop().await };
    let place = testbed.client_side.address(Place::Second).await;
    let session = RouteKey::random(&testbed.instance).as_str().to_owned();
    let mine = own(&testbed);
    // put where only the one under test finds it, so that which of the two is to forward is known
    let envelope = Envelope {
        owner: Some(mine),
        session: Some(session),
        context: Some(context(place).to_json()),
        ..envelope(&call(1))
    };
    testbed.client_side.put(envelope).await;
    let arrival = testbed.desk.wait_for(1).await.remove(0);
    let forwarded = in_time("forwarding", testbed.intake.forward(&owner, &arrival)).await;
    assert!(forwarded.is_ok(), "that worker lives: {forwarded:?}");
    let there = others.wait_for(1).await.remove(0);
    assert!(there.delivery.to_owner, "nobody else has that session");
    assert_eq!(text(&there), call(1));
    assert_eq!(
        (there.session, there.client_id, there.version, there.reply, there.context),
        (arrival.session, arrival.client_id, arrival.version, arrival.reply, arrival.context)
    );
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// What our own proxy sends to a session's worker comes to that one, and to no other.
pub async fn what_is_sent_to_an_owner_comes_to_it_alone(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let Some((owner, others)) = run_another(&mut testbed).await else { return testbed.stop().await };
    let mine = own(&testbed);
    for (owner, number) in [(Some(owner), 1), (Some(mine), 2)] {
        let session = Some(testbed.session());
        testbed.client_side.put(Envelope { owner, session, ..envelope(&call(number)) }).await;
    }
    let (there, here) = (others.wait_for(1).await, testbed.desk.wait_for(1).await);
    assert!(there[0].delivery.to_owner && here[0].delivery.to_owner);
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!((others.texts(), testbed.desk.texts()), (vec![call(1)], vec![call(2)]));
}

/// A session id that another worker made up says whose it is; one that a client proposed says nothing.
pub async fn the_owner_of_a_session_is_found_by_its_id(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::connect(target).await;
    let Some(AnotherWorker { instance, intake }) = testbed.client_side.another_worker().await else { return };
    let of = |text: &str| RemoteSession::parse(text).ok().and_then(|id| testbed.intake.owner_of(&id));
    assert_eq!(of(RouteKey::random(&instance).as_str()).as_deref(), intake.owner());
    assert_eq!(of(RouteKey::random(&testbed.instance).as_str()), None, "its own is nobody else's");
    assert_eq!(of("0123456789abcdef"), None, "it says nothing");
}

/// Nothing can be passed on to a worker that is no more, and that is said so that its clients begin anew.
pub async fn a_forward_to_a_worker_that_is_no_more_says_so(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let Some(gone) = testbed.client_side.gone_owner().await else { return testbed.stop().await };
    let session = testbed.session();
    testbed.put(&session, &call(1)).await;
    let arrival = testbed.desk.wait_for(1).await.remove(0);
    match in_time("forwarding", testbed.intake.forward(&gone, &arrival)).await {
        Ok(()) => panic!("that worker is no more"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::SessionGone, "{error:?}"),
    }
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// Runs another worker, and says where it is found and what arrives there.
async fn run_another(testbed: &mut Testbed) -> Option<(String, Arc<ScriptedDesk>)> {
    let AnotherWorker { instance: _, intake } = testbed.client_side.another_worker().await?;
    let Some(owner) = intake.owner().map(str::to_owned) else { panic!("a worker of a fleet has an address") };
    let desk = Arc::<ScriptedDesk>::default();
    testbed.run_beside(intake, Arc::<ScriptedDesk>::clone(&desk));
    Some((owner, desk))
}

fn own(testbed: &Testbed) -> String {
    let Some(owner) = testbed.intake.owner() else { panic!("a worker of a fleet has an address") };
    owner.to_owned()
}
