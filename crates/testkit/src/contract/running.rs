//! The rules of running, stopping, readiness and closing.

use proxy_core::backend::{Disposition, Remote};

use super::{
    receiving::later,
    target::ContractTarget,
    testbed::{Testbed, answer, call, in_time, outbound, send},
};

/// How often the rest of the process gets its turn while it is shown that something does not happen.
const TURNS: usize = 100;

/// On shutdown `run` waits for the settlements that it owes, and then ends well with everything acknowledged.
pub async fn shutdown_finishes_what_is_in_hand(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let (settle, settlement) = later();
    testbed.inbox.settle_next(settlement);
    let route = testbed.route();
    testbed.put_for(&route, &answer(&route, 0)).await;
    testbed.inbox.wait_for(1).await;
    testbed.shutdown.cancel();
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
    assert!(testbed.is_running(), "run ended with a message in hand");
    assert!(settle.send(Disposition::Accepted).is_ok(), "the settlement is awaited");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// `run` goes on until shutdown, and then ends well, with nothing received as with something.
pub async fn run_ends_well_on_shutdown(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
    assert!(testbed.is_running(), "run ended by itself");
    testbed.stop().await;
    let mut testbed = Testbed::start(target).await;
    testbed.put(&answer(&testbed.route(), 0)).await;
    testbed.inbox.wait_for(1).await;
    testbed.stop().await;
}

/// Readiness can be asked for at any time and changes nothing.
pub async fn check_changes_nothing(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    for _ in 0..3 {
        let checked = in_time("a check", testbed.backend.check()).await;
        assert!(checked.is_ok(), "the transport can be reached: {checked:?}");
    }
    let route = testbed.route();
    send(&*testbed.backend, outbound(&route, &call(&route))).await;
    assert_eq!(testbed.receive().await.body, call(&route), "a check sends nothing");
    assert_eq!(testbed.left_after_stop().await, 0);
    assert!(testbed.inbox.texts().is_empty());
}

/// A session is closed once, and the others' messages go on in both directions.
pub async fn closing_one_session_leaves_the_others(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let (closed, open) = (testbed.route(), testbed.route());
    for route in [&closed, &open] {
        send(&*testbed.backend, outbound(route, &call(route))).await;
        testbed.receive().await;
    }
    let remote = Remote { route: closed.clone(), peer: None };
    let result = in_time("closing", testbed.backend.close(&remote)).await;
    assert!(result.is_ok(), "a session that send saw can be closed: {result:?}");
    send(&*testbed.backend, outbound(&open, &call(&open))).await;
    loop {
        // The far end may have been told that the other session has ended.
        let carried = testbed.receive().await;
        if carried.route.as_deref() == Some(open.as_str()) {
            break;
        }
    }
    testbed.put_for(&open, &answer(&open, 0)).await;
    let delivered = testbed.inbox.wait_for(1).await;
    assert_eq!(delivered[0].route.as_ref(), Some(&open));
    testbed.stop().await;
}
