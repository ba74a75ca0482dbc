//! What a bad or broken server may send.

use proxy_core::error::{Delivery, ErrorKind};

use crate::harness::{LOG, World, answer, call, in_time};

#[tokio::test]
async fn an_event_larger_than_max_message_fails_its_exchange_alone() {
    let mut world = World::with(|config| config.max_message = 100_000).await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    events.message(LOG).await;
    sending.outcome().await.unwrap();
    world.message(&route).await;
    events.raw("data: ").await;
    for _ in 0..30 {
        // the backend stops reading at some point
        events.raw("x".repeat(10_000)).await;
    }
    let error = world.failure(&wire).await;
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::MaybeSent));
    assert!(error.to_string().contains("100000"), "{error}");
    events.closed().await;
    let (wire, sending, got) = world.call(&route, 2).await;
    got.json(&answer(&wire));
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, answer(&wire));
}

#[tokio::test]
async fn json_larger_than_max_message_fails_its_exchange() {
    let mut world = World::with(|config| config.max_message = 1_000).await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.json(&format!(r#"{{"jsonrpc":"2.0","id":"{wire}","result":"{}"}}"#, "x".repeat(1_000)));
    sending.outcome().await.unwrap();
    assert_eq!(world.failure(&wire).await.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn many_small_events_are_no_large_one() {
    let mut world = World::with(|config| config.max_message = 1_000).await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    for _ in 0..50 {
        events.raw(": keep-alive keep-alive keep-alive keep-alive keep-alive\n\n").await;
        events.message(LOG).await;
    }
    events.message(&answer(&wire)).await;
    sending.outcome().await.unwrap();
    for _ in 0..50 {
        assert_eq!(world.message(&route).await, LOG);
    }
    assert_eq!(world.message(&route).await, answer(&wire));
}

#[tokio::test]
async fn an_event_may_come_in_any_pieces() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    let whole = format!("event: message\r\ndata: {LOG}\r\n\r\ndata:{}\n\n", answer(&wire));
    for byte in whole.bytes() {
        // in the middle of é and of line ends too
        events.raw(vec![byte]).await;
    }
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, LOG);
    assert_eq!(world.message(&route).await, answer(&wire));
}

/// WHATWG HTML, 9.2.6, interpreting an event stream.
#[tokio::test]
async fn what_event_streams_may_hold_beside_messages_is_passed_over() {
    let mut world = World::start().await;
    let route = world.route();
    for (number, around) in (1..).zip([
        ["\u{feff}", "\n\n"],
        ["event\nid\nretry\n", "\n\n"],
        ["comment: not a field\nx\n", "\ndata-x: {}\n\n"],
        ["retry: soon\nretry: 7s\nretry: 99999999999999999999\n", "\n\n"],
        ["event: other\nevent: message\nid: 1\nid: 2\nretry: 1\nretry: 2\n", "\n\n"],
        ["id: a\u{0}b\n", "\n\n"],
        [":\n\n: ping - 2026-11-23\r\n\r\n", "\r\r"],
        ["", "\n\nthe: rest\n\n"],
    ]) {
        let (wire, sending, got) = world.call(&route, number).await;
        let [before, after] = around;
        got.answer(200, "text/event-stream", &format!("{before}data: {}{after}", answer(&wire)));
        sending.outcome().await.unwrap();
        assert_eq!(world.message(&route).await, answer(&wire), "{around:?}");
    }
}

#[tokio::test]
async fn a_message_may_have_many_lines() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.answer(
        200,
        "text/event-stream",
        &format!(
            "data: {{\"jsonrpc\":\"2.0\",\ndata: \"id\":\"{wire}\",\r\ndata:\"result\":\rdata:{{}}}}\n\n"
        ),
    );
    sending.outcome().await.unwrap();
    let whole = format!("{{\"jsonrpc\":\"2.0\",\n\"id\":\"{wire}\",\n\"result\":\n{{}}}}");
    assert_eq!(world.message(&route).await, whole);
}

/// 2025-03-26, basic/transports, sending messages to the server: what comes on a stream may be batched.
#[tokio::test]
async fn an_event_may_hold_a_batch() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    events.message(&format!("[{LOG},{LOG}]")).await;
    events.message(&format!("[{LOG},{}]", answer(&wire))).await;
    sending.outcome().await.unwrap();
    for _ in 0..3 {
        assert_eq!(world.message(&route).await, LOG);
    }
    assert_eq!(world.message(&route).await, answer(&wire));
    events.closed().await;
    let standalone = world.listening(&route).await.stream();
    standalone.message(&format!("[{LOG},{LOG}]")).await;
    assert_eq!(world.message(&route).await, LOG);
    assert_eq!(world.message(&route).await, LOG);
}

#[tokio::test]
async fn what_is_no_message_is_counted_and_passed_over() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    for junk in ["no json", "[]", "{}", r#"{"jsonrpc":"2.0","id":{},"result":{}}"#] {
        events.message(junk).await;
    }
    events.raw("event: other\ndata: {}\n\nevent: message\n\ndata\n\n".replace("data\n", "data:\n")).await;
    events.message(&answer(&wire)).await;
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, answer(&wire));
    let metrics = world.metrics();
    assert!(
        metrics.contains(r#"malformed_messages_total{backend="streamable-http-webhook"} 4"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_answers_nothing_ends_the_exchange() {
    let mut world = World::start().await;
    let route = world.route();
    let other = answer(&proxy_core::id::WireId::new(world.route(), 1));
    for (media, body, kind) in [
        ("text/html", "<html>", ErrorKind::Protocol),
        ("application/json", "junk", ErrorKind::Protocol),
        ("application/json", "", ErrorKind::Protocol),
        ("application/json", LOG, ErrorKind::Protocol),
        ("application/json", &other, ErrorKind::Protocol),
        ("text/event-stream", "", ErrorKind::Unavailable),
        ("text/event-stream; charset=utf-8", "data: \u{fffd}", ErrorKind::Unavailable),
        // what is no field is ignored
        ("text/event-stream", "nonsense\n\n", ErrorKind::Unavailable),
    ] {
        let (wire, sending, got) = world.call(&route, 1).await;
        got.answer(200, media, body);
        sending.outcome().await.unwrap();
        if body == LOG || body == other {
            world.message(&route).await;
        }
        assert_eq!(world.failure(&wire).await.kind(), kind, "{media} {body}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_ends_the_exchange() {
    let mut world = World::start().await;
    let route = world.route();
    for media in ["application/json", "text/event-stream"] {
        let (wire, sending, got) = world.call(&route, 1).await;
        let body = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}\n\n".to_vec();
        got.respond(crate::server::head(200, media).body(body.into()).unwrap());
        sending.outcome().await.unwrap();
        assert_eq!(world.failure(&wire).await.kind(), ErrorKind::Protocol, "{media}");
    }
}

#[tokio::test]
async fn an_answer_twice_is_delivered_once() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let twice = format!("data: {0}\n\ndata: {0}\n\n", answer(&wire));
    got.answer(200, "text/event-stream", &twice);
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, answer(&wire));
    let (_, sending, got) = world.call(&route, 2).await;
    assert_eq!(got.body, call(&proxy_core::id::WireId::new(route.clone(), 2)));
    drop(sending);
    assert!(world.nothing_delivered());
}

#[tokio::test]
async fn a_stream_that_goes_on_after_its_answer_is_closed() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    let events = got.stream();
    events.message(&answer(&wire)).await;
    sending.outcome().await.unwrap();
    world.message(&route).await;
    in_time(events.closed()).await;
}
