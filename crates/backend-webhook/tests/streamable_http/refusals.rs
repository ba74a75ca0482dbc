//! Responses that are no success, and connections that are none.

use std::time::Duration;

use proxy_core::{
    backend::Backend as _,
    error::{Delivery, ErrorKind},
    id::WireId,
};
use tokio::{net::TcpListener, time::Instant};

use crate::{
    harness::{LOG, World, answer, call, outbound},
    server::Server,
};

const SERVER_ERROR: &str = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32602,"message":"Session not fully initialized"}}"#;

#[tokio::test]
async fn each_status_ends_a_request_at_once_with_its_kind() {
    let mut world = World::start().await;
    let route = world.route();
    for (status, body, kind) in [
        (400, "Bad Request: No valid session ID provided", ErrorKind::SessionGone),
        (400, SERVER_ERROR, ErrorKind::Protocol),
        (400, r#"{"error":"no"}"#, ErrorKind::Protocol),
        (401, "", ErrorKind::Denied),
        (403, "", ErrorKind::Denied),
        (404, "", ErrorKind::SessionGone),
        (404, SERVER_ERROR, ErrorKind::SessionGone),
        (405, "", ErrorKind::Protocol),
        (406, "", ErrorKind::Protocol),
        (413, "", ErrorKind::TooLarge),
        (415, "", ErrorKind::Protocol),
        (307, "", ErrorKind::Config),
    ] {
        let (_, sending, got) = world.call(&route, 1).await;
        got.answer(status, "text/plain", body);
        let error = sending.outcome().await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (kind, Delivery::NotSent), "{status} {error}");
        if body == SERVER_ERROR && status == 400 {
            assert!(error.to_string().contains("Session not fully initialized (-32602)"), "{error}");
        }
    }
    assert!(world.nothing_delivered());
}

#[tokio::test]
async fn without_a_session_none_is_gone() {
    let mut world = World::start().await;
    let wire = WireId::new(world.route(), 0);
    for (status, kind) in [(404, ErrorKind::Config), (400, ErrorKind::Protocol)] {
        let mut initialize = outbound(wire.route(), 0, &call(&wire));
        initialize.remote.peer = None;
        let sending = world.send(initialize);
        world.server.got().await.answer(status, "text/plain", "");
        assert_eq!(sending.outcome().await.unwrap_err().kind(), kind, "{status}");
    }
}

#[tokio::test]
async fn a_server_that_fails_may_have_run_it() {
    let mut world = World::start().await;
    let route = world.route();
    for status in [500, 502, 503] {
        let (wire, sending, got) = world.call(&route, 1).await;
        got.answer(status, "text/plain", "");
        let error = sending.outcome().await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::MaybeSent));
        let told = world.failure(&wire).await;
        assert_eq!(told.kind(), ErrorKind::Unavailable, "the client need not wait for its timeout");
    }
}

#[tokio::test]
async fn an_error_with_our_id_is_the_answer() {
    let mut world = World::start().await;
    let route = world.route();
    for (status, code) in [(400, -32602), (404, -32601), (500, -32603)] {
        let (wire, sending, got) = world.call(&route, 1).await;
        let error = format!(r#"{{"jsonrpc":"2.0","id":"{wire}","error":{{"code":{code},"message":"no"}}}}"#);
        got.answer(status, "application/json", &error);
        sending.outcome().await.unwrap();
        assert_eq!(world.message(&route).await, error);
    }
    let (wire, sending, got) = world.call(&route, 1).await;
    let gone = format!(r#"{{"jsonrpc":"2.0","id":"{wire}","error":{{"code":-32001,"message":"gone"}}}}"#);
    got.answer(404, "application/json", &gone);
    assert_eq!(sending.outcome().await.unwrap_err().kind(), ErrorKind::SessionGone);
}

#[tokio::test]
async fn what_the_server_has_no_room_for_is_sent_again() {
    let mut world = World::start().await;
    let route = world.route();
    let (wire, sending, got) = world.call(&route, 1).await;
    got.status(429);
    let again = world.server.got().await;
    assert_eq!(again.body, call(&wire));
    again.json(&answer(&wire));
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, answer(&wire));
    let mut hurried = outbound(&route, 2, LOG);
    hurried.context.deadline = Instant::now() + Duration::from_millis(200);
    let sending = world.send(hurried);
    let response = crate::server::head(429, "text/plain").header("retry-after", "5");
    world.server.got().await.respond(response.body("".into()).unwrap());
    assert_eq!(sending.outcome().await.unwrap_err().kind(), ErrorKind::Throttled);
}

#[tokio::test]
async fn a_notification_that_is_refused_fails() {
    let mut world = World::start().await;
    let route = world.route();
    for (status, body, kind) in [
        (400, SERVER_ERROR, ErrorKind::Protocol),
        (404, "", ErrorKind::SessionGone),
        (500, "", ErrorKind::Unavailable),
    ] {
        let sending = world.send(outbound(&route, 1, LOG));
        world.server.got().await.answer(status, "text/plain", body);
        assert_eq!(sending.outcome().await.unwrap_err().kind(), kind, "{status}");
    }
}

#[tokio::test]
async fn connecting_is_tried_again_until_the_server_is_there() {
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap();
    let server = Server::on(reserved);
    let mut world = World::on(server, |_| {}, false).await;
    // the server goes, and comes back at the same address
    world.server = Server::start().await;
    let wire = WireId::new(world.route(), 1);
    let sending = world.send(outbound(wire.route(), 1, &call(&wire)));
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    world.server = Server::on(listener);
    world.server.got().await.json(&answer(&wire));
    sending.outcome().await.unwrap();
    assert_eq!(world.message(wire.route()).await, answer(&wire));
}

#[tokio::test]
async fn a_server_that_is_not_there_ends_the_request_before_its_deadline() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = World::with(|config| {
        config.server_url = format!("http://{nobody}/mcp");
        config.timeout = Duration::from_millis(50);
    })
    .await;
    let wire = WireId::new(world.route(), 1);
    let error = world.backend.send(outbound(wire.route(), 1, &call(&wire))).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
    assert!(error.to_string().contains(&nobody.to_string()), "{error}");
    let error = world.backend.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
