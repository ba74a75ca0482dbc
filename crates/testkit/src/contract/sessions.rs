//! The rules of sessions: whose a message is, and by what the far end goes.

use std::{collections::BTreeMap, sync::Arc};

use proxy_core::{
    backend::{Peer, Remote},
    id::{RemoteSession, RouteKey},
};
use tokio::task::JoinSet;

use super::{
    target::{ContractTarget, Returned},
    testbed::{Testbed, answer, call, in_time, outbound, send},
};

/// A session id that no proxy could have proposed.
const OWN: &str = "0123456789abcdef0123456789abcdef";

/// A far end that goes by a session id of its own is heard by it: with every message that names it, so that the core can compare.
pub async fn the_far_ends_own_session_comes_as_its_peer(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let route = testbed.route();
    send(&*testbed.backend, outbound(&route, &call(&route))).await;
    testbed.receive().await;
    let body = answer(&route, 0);
    if target.return_path_names_the_route() {
        if !testbed.far_side.put_as(&route, OWN, &body).await {
            return testbed.stop().await;
        }
    } else {
        let returned = Returned { route: Some(OWN.to_owned()), body: body.clone(), ..Returned::default() };
        testbed.far_side.put(returned).await;
    }
    let delivered = testbed.inbox.wait_for(1).await;
    assert_eq!(delivered[0].session, RemoteSession::parse(OWN).ok());
    assert_eq!(delivered[0].text, body);
    let expected = target.return_path_names_the_route().then_some(&route);
    assert_eq!(delivered[0].route.as_ref(), expected, "an id of the far end's own is no route");
    testbed.stop().await;
}

/// Where receipts or response heads name the far end's session, `send` says so; where there are none, it invents nothing.
pub async fn a_receipt_tells_the_far_ends_own_session(target: &dyn ContractTarget) {
    let mut testbed = Testbed::connect(target).await;
    let route = testbed.route();
    let named = testbed.far_side.name_in_receipts(OWN).await;
    let initialize = format!(
        r#"{{"jsonrpc":"2.0","id":"{}:0","method":"initialize","params":{{"protocolVersion":"2025-06-18","capabilities":{{}}}}}}"#,
        route.as_str()
    );
    match in_time("a send", testbed.backend.send(outbound(&route, &initialize))).await {
        Ok(sent) => {
            let own = sent.session.filter(|session| session.as_str() != route.as_str());
            assert_eq!(own, RemoteSession::parse(OWN).ok().filter(|_| named));
        }
        Err(error) => panic!("an ordinary message is sent: {error:?}"),
    }
}

/// Every message comes with its own session's route, however many sessions there are, and each session's in order.
pub async fn sessions_never_mix(target: &dyn ContractTarget) {
    const SESSIONS: usize = 5;
    const EACH: u64 = 4;
    let mut testbed = Testbed::connect(target).await;
    let routes: Vec<_> = (0..SESSIONS).map(|_| testbed.route()).collect();
    for number in 0..EACH {
        for route in &routes {
            testbed.put_for(route, &answer(route, number)).await;
        }
    }
    testbed.run();
    let all = usize::try_from(EACH).unwrap_or_default() * SESSIONS;
    let mut seen: BTreeMap<RouteKey, Vec<String>> = BTreeMap::new();
    for delivered in testbed.inbox.wait_for(all).await {
        let Some(route) = delivered.route else { panic!("its envelope names a route") };
        seen.entry(route).or_default().push(delivered.text);
    }
    for route in routes {
        let expected: Vec<_> = (0..EACH).map(|number| answer(&route, number)).collect();
        assert_eq!(seen.remove(&route), Some(expected));
    }
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// A message under one session's envelope that answers another's request comes as it is: the core decides, and refuses it.
pub async fn an_envelope_is_not_corrected_from_its_message(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let (enveloped, answered) = (testbed.route(), testbed.route());
    testbed.put_for(&enveloped, &answer(&answered, 0)).await;
    let delivered = testbed.inbox.wait_for(1).await;
    assert_eq!(delivered[0].route.as_ref(), Some(&enveloped));
    assert_eq!(delivered[0].text, answer(&answered, 0));
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// The far end may be faster than the transport's own receipt.
pub async fn an_answer_may_come_before_its_send_is_over(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let route = testbed.route();
    let mut sending = JoinSet::new();
    let (backend, outbound) = (Arc::clone(&testbed.backend), outbound(&route, &call(&route)));
    sending.spawn(async move { send(&*backend, outbound).await });
    assert_eq!(testbed.receive().await.body, call(&route));
    testbed.put_for(&route, &answer(&route, 0)).await;
    let delivered = testbed.inbox.wait_for(1).await;
    assert_eq!(delivered[0].text, answer(&route, 0));
    let sent = in_time("the end of the send", sending.join_next()).await;
    assert!(matches!(sent, Some(Ok(()))), "{sent:?}");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// The far end is told of a session's end where it can be told, under the id that it goes by, and a second end harms nothing.
pub async fn an_end_is_told_where_it_can_be_told(target: &dyn ContractTarget) {
    for own in [None, RemoteSession::parse(OWN).ok()] {
        let mut testbed = Testbed::start(target).await;
        let route = testbed.route();
        send(&*testbed.backend, outbound(&route, &call(&route))).await;
        testbed.receive().await;
        let peer = own.clone().map(|session| Arc::new(Peer { session: Some(session), ..Peer::default() }));
        let remote = Remote { route: route.clone(), peer };
        let first = in_time("closing", testbed.backend.close(&remote)).await;
        assert!(first.is_ok(), "a session that send saw can be closed: {first:?}");
        if let Some(told) = testbed.far_side.told_ended().await {
            let known = own.as_ref().map_or(route.as_str(), RemoteSession::as_str);
            assert_eq!(told, [known], "told once, under its own id");
        }
        // Whatever a second one is worth, it changes nothing for the others.
        drop(in_time("closing again", testbed.backend.close(&remote)).await);
        let other = testbed.route();
        testbed.put_for(&other, &answer(&other, 0)).await;
        testbed.inbox.wait_for(1).await;
        testbed.stop().await;
    }
}
