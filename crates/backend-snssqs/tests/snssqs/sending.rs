//! Out: batches, failures, sizes, FIFO topics.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::types::MessageSystemAttributeName;
use proxy_core::{
    backend::Backend,
    error::{BackendError, Delivery, ErrorKind},
    id::WireId,
};
use testkit::emulator::{Failure, ServiceError};
use tokio::task::JoinSet;

use crate::harness::{Topics, World, call, eventually, outbound};

fn send_all(world: &World, ids: impl IntoIterator<Item = usize>) -> JoinSet<Result<(), BackendError>> {
    let mut sends = JoinSet::new();
    for id in ids {
        let (backend, outbound) = (Arc::clone(&world.backend), outbound(&world.route(), &call(id)));
        sends.spawn(async move { backend.send(outbound).await.map(|_| ()) });
    }
    sends
}

#[tokio::test]
async fn those_that_come_while_a_batch_is_on_its_way_share_the_next() {
    let mut world = World::start().await;
    world.ready().await;
    let before = world.calls("PublishBatch");
    world.emulator().fail_next("PublishBatch", Failure::Slow(Duration::from_millis(300)), 1);
    let first = send_all(&world, [0]);
    eventually(|| world.calls("PublishBatch") == before + 1).await;
    let rest = send_all(&world, 1..=9);
    for sent in first.join_all().await.into_iter().chain(rest.join_all().await) {
        sent.unwrap();
    }
    assert_eq!(world.calls("PublishBatch"), before + 2);
    assert_eq!(world.topics.take(10).await.len(), 10);
    world.stop().await;
}

#[tokio::test]
async fn entries_fail_one_by_one() {
    let mut world = World::start().await;
    world.ready().await;
    let refusal = ServiceError::new("InvalidParameter", 400, "no such message");
    world.emulator().fail_next_entries(&refusal, 1);
    let error = world.backend.send(outbound(&world.route(), &call(1))).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Protocol, Delivery::NotSent), "{error}");
    world.backend.send(outbound(&world.route(), &call(2))).await.unwrap();
    assert_eq!(world.topics.take(1).await[0].body(), Some(&*call(2)));
    world.stop().await;
}

#[tokio::test]
async fn throttling_is_waited_out_and_what_may_have_arrived_is_not_sent_again() {
    let mut world = World::start().await;
    world.ready().await;
    world.emulator().fail_next("PublishBatch", Failure::Throttled, 3);
    world.backend.send(outbound(&world.route(), &call(1))).await.unwrap();
    assert_eq!(world.topics.take(1).await.len(), 1);
    for failure in [Failure::AfterEffect, Failure::Internal] {
        let before = world.calls("PublishBatch");
        world.emulator().fail_next("PublishBatch", failure, 1);
        let error = world.backend.send(outbound(&world.route(), &call(1))).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::MaybeSent));
        assert_eq!(world.calls("PublishBatch"), before + 1);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_message_over_256_kib_is_refused_with_both_sizes() {
    let mut world = World::start().await;
    let large =
        format!(r#"{{"jsonrpc":"2.0","id":"1","method":"m","params":{{"p":"{}"}}}}"#, "x".repeat(262_144));
    let error = world.backend.send(outbound(&world.route(), &large)).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::NotSent));
    assert!(error.to_string().contains("262144"), "{error}");
    assert!(error.to_string().contains("the request topic requests"), "{error}");
    // one that just fits goes: the limit counts the attributes too
    let fits =
        format!(r#"{{"jsonrpc":"2.0","id":"1","method":"m","params":{{"p":"{}"}}}}"#, "x".repeat(261_000));
    world.backend.send(outbound(&world.route(), &fits)).await.unwrap();
    assert_eq!(world.topics.take(1).await[0].body(), Some(&*fits));
    world.stop().await;
}

#[tokio::test]
async fn in_a_fifo_topic_calls_run_in_parallel_and_a_cancellation_overtakes() {
    let topics = Topics::fifo().await;
    let config = topics.config();
    let mut world = World::with(topics, config).await;
    let route = world.route();
    let far = world.emulator().client();
    let url = world.emulator().queue_url("requests.fifo");
    let send = |number: u64, about: u64, text: String| {
        let mut outbound = outbound(&route, &text);
        outbound.number = number;
        outbound.about = Some(WireId::new(route.clone(), about));
        world.backend.send(outbound)
    };
    // the far end takes a call and works on it
    send(1, 1, call(1)).await.unwrap();
    let receive = || {
        far.receive_message()
            .queue_url(&url)
            .wait_time_seconds(10)
            .message_system_attribute_names(MessageSystemAttributeName::All)
    };
    let held = receive().send().await.unwrap().messages.unwrap();
    assert_eq!(held[0].body(), Some(&*call(1)));
    // what comes meanwhile is not held up by it
    send(2, 2, call(2)).await.unwrap();
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"1"}}"#;
    send(3, 1, cancelled.to_owned()).await.unwrap();
    let mut bodies = Vec::new();
    while bodies.len() < 2 {
        for message in receive().send().await.unwrap().messages.unwrap_or_default() {
            let attributes = message.attributes().unwrap();
            assert!(attributes.contains_key(&MessageSystemAttributeName::MessageGroupId));
            bodies.push(message.body().unwrap().to_owned());
        }
    }
    assert_eq!(bodies, [call(2), cancelled.to_owned()]);
    world.stop().await;
}
