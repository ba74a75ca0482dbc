//! When payloads are read, and when they are deleted.

use std::time::Duration;

use proxy_core::{
    id::{InstanceId, RouteKey},
    intake::Settled,
};

use crate::{
    harness::{
        BUCKET, LETTERS, Proxy, REPLIES, REQUESTS, Worker, emulator, held, large_answer, large_call,
        no_payloads, payloads, pointer, put, small_answer, take,
    },
    round_trip::{message, text},
};

#[tokio::test]
async fn a_batch_stays_in_order_around_a_large_message() {
    let emulator = emulator().await;
    emulator.put_object(BUCKET, "mcp/k", large_answer());
    // all are there before the first poll, and so in one batch
    let instance = InstanceId::random();
    let route = RouteKey::random(&instance);
    let session = [("SessionId", route.as_str())];
    put(&emulator, REPLIES, &session, &small_answer(1)).await;
    put(&emulator, REPLIES, &session, &pointer(BUCKET, "mcp/k")).await;
    put(&emulator, REPLIES, &session, &small_answer(3)).await;
    let mut proxy = Proxy::start_as(&emulator, instance, Some(payloads(&emulator))).await;
    assert_eq!(message(proxy.inbound().await.event), small_answer(1));
    assert!(message(proxy.inbound().await.event) == large_answer());
    assert_eq!(message(proxy.inbound().await.event), small_answer(3));
    no_payloads(&emulator).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_payload_stays_until_its_message_is_deleted() {
    let emulator = emulator().await;
    let mut worker = Worker::start(&emulator, true, Some(payloads(&emulator))).await;
    emulator.put_object(BUCKET, "mcp/k", large_call());
    worker.desk.settlements.lock().unwrap().push_back(Settled::GiveBack(Duration::ZERO));
    put(&emulator, REQUESTS, &[], &pointer(BUCKET, "mcp/k")).await;
    for receives in 1..=2 {
        let arrival = worker.arrival().await;
        assert_eq!(arrival.delivery.receive_count, receives);
        assert!(text(arrival) == large_call());
    }
    no_payloads(&emulator).await;
    assert_eq!(held(&emulator, REQUESTS), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_dead_letter_is_as_it_came_and_its_payload_stays() {
    let emulator = emulator().await;
    let mut worker = Worker::start(&emulator, true, Some(payloads(&emulator))).await;
    emulator.put_object(BUCKET, "mcp/k", large_call());
    worker.desk.settlements.lock().unwrap().push_back(Settled::Dead("never".into()));
    put(&emulator, REQUESTS, &[("ExtendedPayloadSize", "3000000")], &pointer(BUCKET, "mcp/k")).await;
    worker.arrival().await;
    let letter = take(&emulator, LETTERS).await;
    assert_eq!(letter.body(), Some(&*pointer(BUCKET, "mcp/k")));
    assert!(letter.message_attributes().unwrap().contains_key("ExtendedPayloadSize"));
    worker.stop().await;
    assert_eq!(emulator.objects(BUCKET).len(), 1);
}
