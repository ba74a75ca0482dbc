//! Messages of others: users of the Extended Client Libraries, other proxies on the queue, and those who name what is not theirs.

use proxy_core::{
    id::{InstanceId, RouteKey},
    intake::ReplyTo,
};

use crate::{
    harness::{
        BUCKET, LETTERS, Proxy, REPLIES, REQUESTS, Worker, calls, emulator, eventually, held, no_payloads,
        payloads, pointer, put, small_answer, take,
    },
    round_trip::{message, text},
};

const INITIALIZE: &str =
    r#"{"jsonrpc":"2.0","id":"0","method":"initialize","params":{"response_queue_url":"http://q/1/theirs"}}"#;

#[tokio::test]
async fn the_messages_of_the_extended_client_libraries_are_read() {
    let emulator = emulator().await;
    let mut worker = Worker::start(&emulator, true, Some(payloads(&emulator))).await;
    let older = pointer(BUCKET, "mcp/k").replace(
        "software.amazon.payloadoffloading.PayloadS3Pointer",
        "com.amazon.sqs.javamessaging.MessageS3Pointer",
    );
    for (body, size) in [
        (pointer(BUCKET, "mcp/k"), "ExtendedPayloadSize"),
        // as Python's writes it
        (pointer(BUCKET, "mcp/k").replace(",{", ", {").replace(":\"", ": \""), "ExtendedPayloadSize"),
        (older, "SQSLargePayloadSize"),
    ] {
        emulator.put_object(BUCKET, "mcp/k", INITIALIZE);
        let attributes = [(size, "104"), ("ClientId", "c"), ("SessionId", "s")];
        put(&emulator, REQUESTS, &attributes, &body).await;
        let arrival = worker.arrival().await;
        assert_eq!(arrival.client_id.as_deref(), Some("c"));
        assert!(matches!(&arrival.reply, Some(ReplyTo::Address(_))), "{:?}", arrival.reply);
        assert!(arrival.context.is_none());
        assert_eq!(text(arrival), r#"{"jsonrpc":"2.0","id":"0","method":"initialize","params":{}}"#);
        no_payloads(&emulator).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn what_is_elsewhere_is_never_read_whatever_a_message_names() {
    let emulator = emulator().await;
    emulator.create_bucket("secrets");
    emulator.put_object("secrets", "mcp/k", INITIALIZE);
    emulator.put_object(BUCKET, "k", INITIALIZE);
    let worker = Worker::start(&emulator, true, Some(payloads(&emulator))).await;
    let proxy = Proxy::start(&emulator, Some(payloads(&emulator))).await;
    let route = RouteKey::random(&proxy.instance);
    for (bucket, key) in [("secrets", "mcp/k"), (BUCKET, "k"), (BUCKET, "mcp/../k")] {
        let body = pointer(bucket, key);
        put(&emulator, REQUESTS, &[], &body).await;
        let letter = take(&emulator, LETTERS).await;
        assert_eq!(letter.body(), Some(&*body), "as it came");
        let context = letter.message_attributes().unwrap()["ProxyContext"].string_value().unwrap();
        assert!(context.contains("not in the configured bucket and prefix"), "{context}");
        put(&emulator, REPLIES, &[("SessionId", route.as_str())], &body).await;
        eventually(|| held(&emulator, REPLIES) == 0).await;
    }
    assert_eq!((calls(&emulator, "GetObject", 2), calls(&emulator, "DeleteObject", 2)), (0, 0));
    assert_eq!((emulator.objects("secrets").len(), emulator.objects(BUCKET).len()), (1, 1));
    worker.stop().await;
    proxy.stop().await;
}

#[tokio::test]
async fn without_configuration_a_dead_letter_says_what_is_missing() {
    let emulator = emulator().await;
    emulator.put_object(BUCKET, "mcp/k", INITIALIZE);
    let worker = Worker::start(&emulator, true, None).await;
    put(&emulator, REQUESTS, &[], &pointer(BUCKET, "mcp/k")).await;
    let letter = take(&emulator, LETTERS).await;
    let context = letter.message_attributes().unwrap()["ProxyContext"].string_value().unwrap();
    assert!(context.contains("large_payloads is not configured"), "{context}");
    worker.stop().await;
}

#[tokio::test]
async fn another_proxys_payload_is_left_to_it() {
    let emulator = emulator().await;
    emulator.put_object(BUCKET, "mcp/k", small_answer(1));
    let mut proxy = Proxy::start(&emulator, Some(payloads(&emulator))).await;
    let other = RouteKey::random(&InstanceId::random());
    put(&emulator, REPLIES, &[("SessionId", other.as_str())], &pointer("another-bucket", "k")).await;
    let ours = RouteKey::random(&proxy.instance);
    put(&emulator, REPLIES, &[("SessionId", ours.as_str())], &pointer(BUCKET, "mcp/k")).await;
    assert_eq!(message(proxy.inbound().await.event), small_answer(1));
    no_payloads(&emulator).await;
    assert_eq!((held(&emulator, REPLIES), calls(&emulator, "GetObject", 1)), (1, 1));
    proxy.stop().await;
    assert_eq!(held(&emulator, REPLIES), 1, "it is still there");
}
