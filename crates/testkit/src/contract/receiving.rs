//! The rules of receiving and acknowledging.

use proxy_core::{
    backend::{Disposition, Settlement},
    id::{InstanceId, RouteKey, WireId},
};
use tokio::sync::oneshot;

use super::{
    target::{ContractTarget, Returned},
    testbed::{Testbed, answer},
};

/// What a far end or a stranger may put on the return path that is no JSON-RPC message.
const NO_MESSAGES: [&str; 7] = [
    "no json",
    "{",
    "[]",
    "null",
    r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
    r#"{"jsonrpc":"2.0","id":{},"result":{}}"#,
    r#"[{"jsonrpc":"2.0","id":"a","result":{}}]"#,
];

/// What comes back reaches the inbox with its route, byte for byte.
pub async fn an_answer_comes_back_byte_for_byte(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let route = testbed.route();
    testbed.put_for(&route, &answer(&route, 0)).await;
    let delivered = testbed.inbox.wait_for(1).await;
    assert_eq!(delivered[0].route.as_ref(), Some(&route));
    assert_eq!(delivered[0].text, answer(&route, 0));
    testbed.stop().await;
}

/// What our own far end says beside a message reaches the inbox.
pub async fn what_the_far_end_adds_comes_along(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let route = testbed.route();
    let related = WireId::new(route.clone(), 7);
    let body = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#.to_owned();
    let returned = Returned {
        route: Some(route.as_str().to_owned()),
        related: Some(related.clone()),
        sequence: Some(3),
        body,
    };
    testbed.far_side.put(returned).await;
    let delivered = testbed.inbox.wait_for(1).await;
    assert_eq!(delivered[0].related.as_ref(), Some(&related));
    assert_eq!(delivered[0].sequence, Some(3));
    testbed.stop().await;
}

/// An envelope that names no route that a proxy could have made counts as one without; the inbox finds out the rest.
pub async fn what_has_no_route_comes_without_one(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let body = answer(&testbed.route(), 0);
    for route in [None, Some("0123456789abcdef0123456789abcdef".to_owned())] {
        testbed.far_side.put(Returned { route, body: body.clone(), ..Returned::default() }).await;
    }
    if target.return_path_names_the_route() {
        return only_ours_comes(testbed).await;
    }
    let delivered = testbed.inbox.wait_for(2).await;
    assert!(delivered.iter().all(|delivered| delivered.route.is_none() && delivered.text == body));
    testbed.stop().await;
}

/// What waits on the return path is delivered in the order in which it was sent.
pub async fn messages_come_in_the_order_in_which_they_were_sent(target: &dyn ContractTarget) {
    let mut testbed = Testbed::connect(target).await;
    let route = testbed.route();
    let texts: Vec<_> = (0..25).map(|number| answer(&route, number)).collect();
    for text in &texts {
        testbed.put_for(&route, text).await;
    }
    testbed.run();
    testbed.inbox.wait_for(texts.len()).await;
    assert_eq!(testbed.inbox.texts(), texts);
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// An accepted message is acknowledged and does not come again.
pub async fn an_accepted_message_comes_once(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let route = testbed.route();
    testbed.put_for(&route, &answer(&route, 0)).await;
    testbed.put_for(&route, &answer(&route, 1)).await;
    testbed.inbox.wait_for(2).await;
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!(testbed.inbox.texts(), [answer(&route, 0), answer(&route, 1)]);
}

/// A message for which there was no memory comes back after a while, and is acknowledged only then.
pub async fn a_busy_message_comes_back(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    testbed.inbox.settle_next(Settlement::Now(Disposition::Busy));
    let route = testbed.route();
    testbed.put_for(&route, &answer(&route, 0)).await;
    let delivered = testbed.inbox.wait_for(2).await;
    assert_eq!(delivered[0], delivered[1]);
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// A message that nothing waits for is acknowledged.
pub async fn an_unroutable_message_is_acknowledged(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    testbed.inbox.settle_next(Settlement::Now(Disposition::Unroutable));
    let route = testbed.route();
    testbed.put_for(&route, &answer(&route, 0)).await;
    testbed.inbox.wait_for(1).await;
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!(testbed.inbox.texts().len(), 1);
}

/// Another instance's message stays where its owner finds it, if there is one that could.
pub async fn a_foreign_message_is_left_to_its_owner(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let theirs = RouteKey::random(&InstanceId::random());
    if !target.return_path_names_the_route() {
        testbed.inbox.settle_next(Settlement::Now(Disposition::Foreign));
    }
    testbed.put_for(&theirs, &answer(&theirs, 0)).await;
    if target.return_path_names_the_route() {
        return only_ours_comes(testbed).await;
    }
    let delivered = testbed.inbox.wait_for(1).await;
    assert_eq!(delivered[0].route.as_ref(), Some(&theirs));
    let left = usize::from(target.return_path_is_shared());
    assert_eq!(testbed.left_after_stop().await, left);
}

/// What was put before was refused: nothing of it waits, and the next message comes as if it had not been.
async fn only_ours_comes(mut testbed: Testbed) {
    let ours = testbed.route();
    testbed.put_for(&ours, &answer(&ours, 0)).await;
    testbed.inbox.wait_for(1).await;
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!(testbed.inbox.texts(), [answer(&ours, 0)]);
}

/// The far end may say a thing twice: both are acknowledged, whatever the inbox makes of the second.
pub async fn a_duplicate_is_acknowledged(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let route = testbed.route();
    testbed.inbox.settle_next(Settlement::Now(Disposition::Accepted));
    testbed.inbox.settle_next(Settlement::Now(Disposition::Unroutable));
    for _ in 0..2 {
        testbed.put_for(&route, &answer(&route, 0)).await;
    }
    testbed.put_for(&route, &answer(&route, 1)).await;
    let delivered = testbed.inbox.wait_for(3).await;
    assert_eq!(delivered[2].text, answer(&route, 1));
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// What is no JSON-RPC message is settled by the backend, and the next message comes as if nothing had been.
pub async fn what_is_no_message_never_reaches_the_inbox(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    for body in NO_MESSAGES {
        testbed.put(body).await;
        testbed.far_side.put(Returned { body: body.to_owned(), ..Returned::default() }).await;
    }
    let route = testbed.route();
    testbed.put_for(&route, &answer(&route, 0)).await;
    testbed.inbox.wait_for(1).await;
    assert_eq!(testbed.left_after_stop().await, 0);
    assert_eq!(testbed.inbox.texts(), [answer(&route, 0)]);
}

/// A disposition that is known only later is waited for off the receive loop.
pub async fn a_settlement_that_takes_time_holds_nothing_up(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let (settle, settlement) = later();
    testbed.inbox.settle_next(settlement);
    let route = testbed.route();
    testbed.put_for(&route, &answer(&route, 0)).await;
    testbed.inbox.wait_for(1).await;
    testbed.put_for(&route, &answer(&route, 1)).await;
    testbed.inbox.wait_for(2).await;
    assert!(testbed.far_side.unacknowledged().await >= 1, "nothing is acknowledged before its disposition");
    assert!(settle.send(Disposition::Accepted).is_ok(), "the settlement is awaited");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// A settlement that comes when the sender says so; as busy where the sender is dropped.
pub(super) fn later() -> (oneshot::Sender<Disposition>, Settlement) {
    let (settle, settled) = oneshot::channel();
    (settle, Settlement::Later(Box::pin(async move { settled.await.unwrap_or(Disposition::Busy) })))
}
