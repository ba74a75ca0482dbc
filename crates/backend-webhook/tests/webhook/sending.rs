//! What is posted to the server, and what its receipts mean.

use std::sync::Arc;

use proxy_core::{
    backend::{Backend as _, Event, Remote},
    config::Secret,
    error::{Delivery, ErrorKind},
    id::{RemoteSession, WireId},
};
use reqwest::Method;
use serde_json::Value;

use crate::harness::{ANSWER, CALL, INITIALIZE, World, outbound, peer};

#[tokio::test]
async fn initialize_names_its_sessions_callback_url() {
    let mut world = World::start().await;
    let route = world.route();
    let sending = world.send(outbound(&route, INITIALIZE));
    let got = world.server.got().await;
    assert_eq!(got.method, Method::POST);
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert_eq!(got.header("x-client-id"), Some(&*format!("search.{}", route.as_str())));
    assert_eq!(got.header("x-session-id"), Some(route.as_str()));
    assert_eq!(got.header("x-protocol-version"), None);
    let body: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(body["params"]["_meta"]["webhookUrl"], world.backend.callback_url(&route));
    assert_eq!(body["params"]["protocolVersion"], "2025-06-18");
    got.answer(200, r#"{"status":"session_created","session_id":"theirs"}"#);
    assert_eq!(sending.outcome().await.unwrap().session, RemoteSession::parse("theirs").ok());
}

#[tokio::test]
async fn later_messages_go_as_they_are_with_the_servers_session_id() {
    let mut world = World::with(|config| {
        config.headers.insert("Authorization".to_owned(), Secret::new("Bearer hush"));
    })
    .await;
    let mut message = outbound(&world.route(), CALL);
    message.remote.peer = Some(Arc::new(peer("theirs")));
    let sending = world.send(message);
    let got = world.server.got().await;
    assert_eq!(got.body, CALL);
    for (name, value) in [
        ("x-session-id", "theirs"),
        ("x-protocol-version", "2025-06-18"),
        ("x-request-id", "2"),
        ("x-method", "tools/call"),
        ("authorization", "Bearer hush"),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    assert_eq!(got.header("x-proxy-context"), None);
    got.answer(200, r#"{"status":"received"}"#);
    sending.outcome().await.unwrap();
    assert!(!format!("{:?}", world.backend).contains("hush"));
}

#[tokio::test]
async fn a_callback_may_come_before_the_receipt() {
    let mut world = World::start().await;
    let route = world.route();
    let sending = world.send(outbound(&route, CALL));
    let got = world.server.got().await;
    world.callback(&route, ANSWER).send().await.unwrap().error_for_status().unwrap();
    assert_eq!(world.delivered().await.route, Some(route));
    got.answer(200, "");
    sending.outcome().await.unwrap();
}

#[tokio::test]
async fn an_error_receipt_ends_the_send_with_what_it_says() {
    let mut world = World::start().await;
    for (status, body, kind, said) in [
        (
            400,
            r#"{"error": "No active session found"}"#,
            ErrorKind::SessionGone,
            "does not know this session",
        ),
        (404, "", ErrorKind::SessionGone, "does not know this session"),
        (400, r#"{"error":{"code":-32600,"message":"Unsupported"}}"#, ErrorKind::Protocol, "Unsupported"),
        (500, r#"{"error": "HTTP client not initialized"}"#, ErrorKind::Unavailable, "HTTP 500"),
        (503, "<html>", ErrorKind::Unavailable, "HTTP 503"),
        (302, "", ErrorKind::Config, "redirects"),
    ] {
        let sending = world.send(outbound(&world.route(), CALL));
        world.server.got().await.answer(status, body);
        let error = sending.outcome().await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (kind, Delivery::NotSent), "{status}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(!world.server.has_more(), "{status} was tried again");
    }
    assert!(world.nothing_delivered());
}

#[tokio::test]
async fn a_gateways_error_ends_the_exchange_though_the_request_may_have_arrived() {
    let mut world = World::start().await;
    let route = world.route();
    let sending = world.send(outbound(&route, CALL));
    world.server.got().await.answer(502, "");
    let error = sending.outcome().await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::MaybeSent));
    let Event::ExchangeFailed(request, error) = world.delivered().await.event else { panic!("a failure") };
    assert_eq!(request, Some(WireId::new(route, 0)));
    assert_eq!(error.delivery(), Delivery::MaybeSent);
}

#[tokio::test]
async fn closing_tells_the_server_once() {
    let mut world = World::start().await;
    let route = world.route();
    for (peer, session) in [(None, route.as_str()), (Some(Arc::new(peer("theirs"))), "theirs")] {
        for (status, is_fine) in [(200, true), (404, true), (500, false)] {
            let remote = Remote { route: route.clone(), peer: peer.clone() };
            let (result, ()) = tokio::join!(world.backend.close(&remote), async {
                let got = world.server.got().await;
                assert_eq!(got.method, Method::DELETE);
                assert_eq!(got.header("x-session-id"), Some(session));
                got.answer(status, "");
            });
            assert_eq!(result.is_ok(), is_fine, "{status}");
            assert!(!world.server.has_more());
        }
    }
}
