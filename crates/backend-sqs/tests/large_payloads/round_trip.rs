//! A session between both our ends.

use proxy_core::{
    ProxyContext,
    backend::{Backend, Event},
    error::{Delivery, ErrorKind},
    id::RouteKey,
    intake::{Arrival, ArrivalEvent, Intake},
};

use crate::harness::{
    ANNOUNCED, BUCKET, Proxy, REPLIES, REQUESTS, Worker, calls, emulator, held, large_answer, large_call,
    no_payloads, outbound, payloads, peer, reply, small_answer,
};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"0","method":"initialize","params":{}}"#;

pub(crate) fn text(arrival: Arrival) -> String {
    match arrival.event {
        ArrivalEvent::Message(message) => message.into_text(),
        ArrivalEvent::End => panic!("a message"),
    }
}

pub(crate) fn message(event: Event) -> String {
    match event {
        Event::Message(message) => message.into_text(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_and_an_answer_of_three_megabytes_pass_and_leave_nothing() {
    let emulator = emulator().await;
    let mut worker = Worker::start(&emulator, false, Some(payloads(&emulator))).await;
    let mut proxy = Proxy::start(&emulator, Some(payloads(&emulator))).await;
    let route = RouteKey::random(&proxy.instance);

    // both say what they read
    proxy.backend.send(outbound(&route, None, INITIALIZE)).await.unwrap();
    let announced = worker.arrival().await.context.unwrap().payloads;
    assert_eq!(announced.as_deref(), Some(ANNOUNCED));
    let mut answer = reply(&emulator, &route, announced.as_deref(), &small_answer(0));
    answer.context = Some(ProxyContext {
        v: ProxyContext::VERSION,
        eras: vec!["legacy".into()],
        owner: worker.intake.owner().map(Into::into),
        ..ProxyContext::default()
    });
    worker.intake.reply(answer).await.unwrap();
    let far_end = proxy.inbound().await.peer.unwrap();
    assert_eq!(far_end.payloads.as_deref(), Some(ANNOUNCED));

    // to the worker's own queue, as to the one that all workers read
    for (peer, to_owner) in [(far_end, true), (peer(Some(ANNOUNCED)), false)] {
        proxy.backend.send(outbound(&route, Some(peer), &large_call())).await.unwrap();
        let arrival = worker.arrival().await;
        assert_eq!(arrival.delivery.to_owner, to_owner);
        assert!(text(arrival) == large_call());
        no_payloads(&emulator).await;
    }
    worker.intake.reply(reply(&emulator, &route, Some(ANNOUNCED), &large_answer())).await.unwrap();
    let inbound = proxy.inbound().await;
    assert!(inbound.route == Some(route) && message(inbound.event) == large_answer());
    no_payloads(&emulator).await;
    assert_eq!(calls(&emulator, "GetObject", 2), 3);
    worker.stop().await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_peer_that_reads_other_payloads_or_none_is_sent_an_error_at_once() {
    let emulator = emulator().await;
    let (worker, proxy) = (
        Worker::start(&emulator, true, Some(payloads(&emulator))).await,
        Proxy::start(&emulator, Some(payloads(&emulator))).await,
    );
    let route = RouteKey::random(&proxy.instance);
    for announced in [None, Some("my-payloads/"), Some("other/mcp/")] {
        let sent = proxy.backend.send(outbound(&route, Some(peer(announced)), &large_call())).await;
        let error = sent.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::NotSent), "{error}");
        let sent = worker.intake.reply(reply(&emulator, &route, announced, &large_answer())).await;
        assert_eq!(sent.unwrap_err().kind(), ErrorKind::TooLarge);
    }
    // one that announced nothing of its own, such as asyncmcp's server
    let error = proxy.backend.send(outbound(&route, None, &large_call())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(calls(&emulator, "PutObject", 2), 0);
    assert_eq!((held(&emulator, REQUESTS), held(&emulator, REPLIES)), (0, 0));
    worker.stop().await;
    proxy.stop().await;
}

#[tokio::test]
async fn without_configuration_a_large_message_is_an_error_whatever_the_peer_says() {
    let emulator = emulator().await;
    let (worker, proxy) = (Worker::start(&emulator, true, None).await, Proxy::start(&emulator, None).await);
    let route = RouteKey::random(&proxy.instance);
    let sent = proxy.backend.send(outbound(&route, Some(peer(Some(ANNOUNCED))), &large_call())).await;
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::TooLarge);
    let sent = worker.intake.reply(reply(&emulator, &route, Some(ANNOUNCED), &large_answer())).await;
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(emulator.objects(BUCKET).is_empty());
    worker.stop().await;
    proxy.stop().await;
}

#[tokio::test]
async fn what_another_worker_has_to_do_is_passed_on_with_its_payload() {
    let emulator = emulator().await;
    let mut first = Worker::start(&emulator, false, Some(payloads(&emulator))).await;
    let proxy = Proxy::start(&emulator, Some(payloads(&emulator))).await;
    let route = RouteKey::random(&proxy.instance);
    proxy.backend.send(outbound(&route, Some(peer(Some(ANNOUNCED))), &large_call())).await.unwrap();
    let arrival = first.arrival().await;
    let mut second = Worker::start(&emulator, false, Some(payloads(&emulator))).await;
    first.intake.forward(second.intake.owner().unwrap(), &arrival).await.unwrap();
    let forwarded = second.arrival().await;
    assert!(forwarded.delivery.to_owner && text(forwarded) == large_call());
    no_payloads(&emulator).await;
    first.stop().await;
    second.stop().await;
    proxy.stop().await;
}
