//! Out: batches, failures, retries.

use std::{sync::Arc, time::Duration};

use backend_sqs::SqsBackend;
use proxy_core::{
    backend::Backend,
    error::{BackendError, Delivery, ErrorKind},
    id::RouteKey,
};
use testkit::{
    emulator::{Emulator, Failure, ServiceError},
    relay::Relay,
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::harness::{
    PATIENCE, REPLIES, REQUESTS, Setup, World, call, emulator, eventually, outbound, outbound_until, take,
};

/// Sends these calls at once.
fn send_all(
    backend: &Arc<SqsBackend>,
    route: &RouteKey,
    calls: impl IntoIterator<Item = String>,
) -> JoinSet<Result<(), BackendError>> {
    let mut sends = JoinSet::new();
    for call in calls {
        let (backend, outbound) = (Arc::clone(backend), outbound(route, &call));
        sends.spawn(async move { backend.send(outbound).await.map(|_| ()) });
    }
    sends
}

fn throttled() -> ServiceError {
    ServiceError::new("RequestThrottled", 400, "slow down")
}

#[tokio::test]
async fn a_lone_message_goes_at_once_and_those_meanwhile_share_batches() {
    let mut world = World::start().await;
    let before = world.calls("SendMessageBatch");
    world.emulator.fail_next("SendMessageBatch", Failure::Slow(Duration::from_millis(500)), 1);
    let first = send_all(&world.backend, &world.route(), [call(0)]);
    eventually(|| world.calls("SendMessageBatch") == before + 1).await;
    // ten and ten go at once, since a full batch waits for none; the five that are left go when a batch is done
    let rest = send_all(&world.backend, &world.route(), (1..=25).map(call));
    for sent in first.join_all().await.into_iter().chain(rest.join_all().await) {
        sent.unwrap();
    }
    assert_eq!(world.calls("SendMessageBatch"), before + 4);
    assert_eq!(take(&world.far, &world.emulator.queue_url(REQUESTS), 26).await.len(), 26);
    world.stop().await;
}

#[tokio::test]
async fn a_batch_keeps_to_the_size_limit_in_all() {
    let emulator = Emulator::start().await.unwrap();
    emulator.create_queue(REQUESTS, &[("MaximumMessageSize", "4096")]).unwrap();
    emulator.create_queue(REPLIES, &[]).unwrap();
    let mut world = World::with(Arc::new(emulator), Setup::default()).await;
    world.emulator.fail_next("SendMessageBatch", Failure::Slow(Duration::from_millis(300)), 1);
    let padded = |id: usize| {
        format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"m","params":{{"p":"{}"}}}}"#, "p".repeat(1200))
    };
    for sent in send_all(&world.backend, &world.route(), (0..9).map(padded)).join_all().await {
        sent.unwrap();
    }
    assert_eq!(take(&world.far, &world.emulator.queue_url(REQUESTS), 9).await.len(), 9);
    world.stop().await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_both_sizes_and_nothing_is_sent() {
    let emulator = Emulator::start().await.unwrap();
    emulator.create_queue(REQUESTS, &[("MaximumMessageSize", "2048")]).unwrap();
    emulator.create_queue(REPLIES, &[]).unwrap();
    let mut world = World::with(Arc::new(emulator), Setup::default()).await;
    let before = world.calls("SendMessageBatch");
    let text =
        format!(r#"{{"jsonrpc":"2.0","id":"1","method":"m","params":{{"p":"{}"}}}}"#, "p".repeat(2000));
    let error = world.send(&text).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::NotSent));
    let sizes = error.to_string();
    assert!(sizes.contains("2048") && sizes.contains(" bytes"), "{sizes}");
    assert!(!sizes.contains("ppp"));
    assert_eq!(world.calls("SendMessageBatch"), before);
    world.stop().await;
}

#[tokio::test]
async fn the_failed_entries_of_a_batch_are_told_apart() {
    let mut world = World::start().await;
    let internal = ServiceError::new("InternalError", 500, "we failed");
    let invalid = ServiceError::new("InvalidMessageContents", 400, "characters");
    for error in [internal, invalid, throttled()] {
        world.emulator.fail_next_entries(&error, 1);
    }
    let results = send_all(&world.backend, &world.route(), (20..=29).map(call)).join_all().await;
    let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    let mut kinds: Vec<_> = failed.iter().map(|error| (error.kind().as_str(), error.delivery())).collect();
    kinds.sort_by_key(|(kind, _)| *kind);
    assert_eq!(
        kinds,
        [("protocol", Delivery::NotSent), ("unavailable", Delivery::MaybeSent)],
        "the throttled one was sent again"
    );
    world.stop().await;
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let mut world = World::start().await;
    world.emulator.fail_next("SendMessageBatch", Failure::Throttled, 3);
    world.send(&call(1)).await.unwrap();
    assert_eq!(take(&world.far, &world.emulator.queue_url(REQUESTS), 1).await.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn throttling_is_waited_out_until_the_deadline_only() {
    let mut world = World::start().await;
    world.emulator.fail_next("SendMessageBatch", Failure::Throttled, 1000);
    let deadline = Instant::now() + Duration::from_millis(500);
    let send = world.backend.send(outbound_until(&world.route(), &call(1), deadline));
    let error = timeout(PATIENCE, send).await.expect("an end in time").unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Throttled, Delivery::NotSent));
    world.stop().await;
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_again() {
    let mut world = World::start().await;
    for failure in [Failure::AfterEffect, Failure::Internal, Failure::Unavailable] {
        let before = world.calls("SendMessageBatch");
        world.emulator.fail_next("SendMessageBatch", failure, 1);
        let error = world.send(&call(1)).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::MaybeSent));
        assert_eq!(world.calls("SendMessageBatch"), before + 1);
    }
    assert_eq!(world.emulator.depth(REQUESTS).unwrap().visible, 1);
    world.stop().await;
}

#[tokio::test]
async fn one_refused_message_does_not_take_its_batch_along() {
    let mut world = World::start().await;
    let before = world.calls("SendMessageBatch");
    world.emulator.fail_next("SendMessageBatch", Failure::Slow(Duration::from_millis(300)), 1);
    let first = send_all(&world.backend, &world.route(), [call(0)]);
    eventually(|| world.calls("SendMessageBatch") == before + 1).await;
    let refusal = ServiceError::new("InvalidMessageContents", 400, "the whole batch");
    world.emulator.fail_next("SendMessageBatch", Failure::Error(refusal), 1);
    let rest = send_all(&world.backend, &world.route(), (1..=10).map(call));
    for sent in first.join_all().await.into_iter().chain(rest.join_all().await) {
        sent.unwrap();
    }
    assert_eq!(world.calls("SendMessageBatch"), before + 12, "the ten went one by one");
    world.stop().await;
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_until_it_works() {
    let emulator = emulator().await;
    let relay = Relay::start(emulator.local_addr()).await.unwrap();
    let setup = Setup { endpoint: Some(relay.endpoint_url()), ..Setup::default() };
    let mut world = World::with(emulator, setup).await;
    world.polling().await;
    relay.refuse().await.unwrap();
    let sends = send_all(&world.backend, &world.route(), (0..5).map(call));
    world.counted(r#"mcp_proxy_backend_api_calls_total{backend="sqs",action="SendMessageBatch",error_type="unavailable"}"#, 1).await;
    relay.restore().await.unwrap();
    for sent in timeout(PATIENCE, sends.join_all()).await.unwrap() {
        sent.unwrap();
    }
    assert_eq!(take(&world.far, &world.emulator.queue_url(REQUESTS), 5).await.len(), 5);
    // and the poller came back too
    world.reply(Some(world.route().as_str()), &call(9)).await;
    world.delivered().await;
    world.stop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_the_message_in_doubt() {
    let emulator = emulator().await;
    let relay = Relay::start(emulator.local_addr()).await.unwrap();
    let setup = Setup { endpoint: Some(relay.endpoint_url()), ..Setup::default() };
    let mut world = World::with(emulator, setup).await;
    let before = world.calls("SendMessageBatch");
    world.emulator.fail_next("SendMessageBatch", Failure::Slow(Duration::from_millis(500)), 1);
    let sends = send_all(&world.backend, &world.route(), [call(1)]);
    eventually(|| world.calls("SendMessageBatch") == before + 1).await;
    relay.cut();
    let error = timeout(PATIENCE, sends.join_all()).await.unwrap().pop().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::MaybeSent), "{error}");
    relay.restore().await.unwrap();
    assert_eq!(world.calls("SendMessageBatch"), before + 1);
    world.stop().await;
}
