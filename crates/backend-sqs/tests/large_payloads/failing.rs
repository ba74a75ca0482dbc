//! S3 that fails or denies.

use proxy_core::{
    backend::Backend,
    error::{Delivery, ErrorKind},
    id::RouteKey,
    intake::Intake,
};
use testkit::emulator::{Emulator, Failure};

use crate::{
    harness::{
        ANNOUNCED, BUCKET, Proxy, REPLIES, REQUESTS, Worker, emulator, eventually, held, large_answer,
        large_call, no_payloads, outbound, payloads, peer, pointer, put, reply, small_answer,
    },
    round_trip::{message, text},
};

/// As often as the SDK asks in one call, by its standard retries (AWS SDKs and tools reference, "Retry behavior").
const ATTEMPTS: usize = 3;

#[tokio::test]
async fn what_cannot_be_stored_for_now_is_stored_again_and_what_is_denied_is_an_error() {
    let emulator = emulator().await;
    let mut worker = Worker::start(&emulator, true, Some(payloads(&emulator))).await;
    let mut proxy = Proxy::start(&emulator, Some(payloads(&emulator))).await;
    let route = RouteKey::random(&proxy.instance);
    let call = || outbound(&route, Some(peer(Some(ANNOUNCED))), &large_call());
    let answer = || reply(&emulator, &route, Some(ANNOUNCED), &large_answer());

    emulator.fail_next("PutObject", Failure::Internal, ATTEMPTS + 1);
    proxy.backend.send(call()).await.unwrap();
    assert!(text(worker.arrival().await) == large_call());
    emulator.fail_next("PutObject", Failure::Throttled, ATTEMPTS + 1);
    worker.intake.reply(answer()).await.unwrap();
    assert!(message(proxy.inbound().await.event) == large_answer());

    eventually(|| held(&emulator, REQUESTS) + held(&emulator, REPLIES) == 0).await;
    emulator.deny("s3:PutObject");
    let error = proxy.backend.send(call()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Denied, Delivery::NotSent), "{error}");
    assert!(error.to_string().contains("s3:PutObject"), "{error}");
    assert_eq!(worker.intake.reply(answer()).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!((held(&emulator, REQUESTS), held(&emulator, REPLIES)), (0, 0));
    worker.stop().await;
    proxy.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_for_now_comes_again() {
    let emulator = emulator().await;
    let mut worker = Worker::start(&emulator, true, Some(payloads(&emulator))).await;
    let mut proxy = Proxy::start(&emulator, Some(payloads(&emulator))).await;
    let route = RouteKey::random(&proxy.instance);

    emulator.put_object(BUCKET, "mcp/k", large_call());
    emulator.deny("s3:GetObject");
    let before = given_back(&emulator, "worker");
    put(&emulator, REQUESTS, &[], &pointer(BUCKET, "mcp/k")).await;
    eventually(|| given_back(&emulator, "worker") > before).await;
    emulator.allow("s3:GetObject");
    eventually(|| {
        emulator.redeliver(REQUESTS);
        given_out(&emulator, 3)
    })
    .await;
    let arrival = worker.arrival().await;
    assert!(arrival.delivery.receive_count > 1 && text(arrival) == large_call());
    no_payloads(&emulator).await;

    emulator.put_object(BUCKET, "mcp/k", large_answer());
    emulator.fail_next("GetObject", Failure::Internal, ATTEMPTS);
    let before = given_back(&emulator, "proxy");
    put(&emulator, REPLIES, &[("SessionId", route.as_str())], &pointer(BUCKET, "mcp/k")).await;
    eventually(|| given_back(&emulator, "proxy") > before).await;
    // it is held up by nothing
    put(&emulator, REPLIES, &[("SessionId", route.as_str())], &small_answer(2)).await;
    assert_eq!(message(proxy.inbound().await.event), small_answer(2));
    assert!(message(proxy.inbound().await.event) == large_answer());
    no_payloads(&emulator).await;
    worker.stop().await;
    proxy.stop().await;
}

/// How often messages were given back, or it was tried whether they may be.
fn given_back(emulator: &Emulator, who: &str) -> u64 {
    emulator.calls().of(who, "ChangeMessageVisibilityBatch")
}

/// Whether this many payloads were asked for, those of the looks at start included.
fn given_out(emulator: &Emulator, times: u64) -> bool {
    emulator.calls().of("payloads", "GetObject") > times
}

#[tokio::test]
async fn a_payload_that_cannot_be_deleted_costs_nothing_but_its_room() {
    let emulator = emulator().await;
    let mut worker = Worker::start(&emulator, true, Some(payloads(&emulator))).await;
    emulator.put_object(BUCKET, "mcp/k", large_call());
    emulator.deny("s3:DeleteObject");
    put(&emulator, REQUESTS, &[], &pointer(BUCKET, "mcp/k")).await;
    assert!(text(worker.arrival().await) == large_call());
    eventually(|| held(&emulator, REQUESTS) == 0).await;
    worker.stop().await;
    assert_eq!(emulator.objects(BUCKET).len(), 1);
}
