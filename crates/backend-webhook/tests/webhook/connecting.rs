//! Connections to the server: kept, made again, and never trusted to have carried nothing.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use proxy_core::{
    backend::Backend as _,
    error::{Delivery, ErrorKind},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::harness::{CALL, Server, World, in_time, outbound};

const OTHER: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"2"}}"#;

#[tokio::test]
async fn connections_are_kept() {
    let mut world = World::start().await;
    for _ in 0..20 {
        let sending = world.send(outbound(&world.route(), CALL));
        world.server.got().await.answer(200, r#"{"status":"received"}"#);
        sending.outcome().await.unwrap();
    }
    assert_eq!(world.server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_that_is_refused_is_tried_again() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let world = World::with(|config| config.server_url = format!("http://{address}/mcp/request")).await;
    let sending = world.send(outbound(&world.route(), CALL));
    // the check fails at once where a send goes on
    let refused = world.backend.check().await.unwrap_err();
    assert_eq!((refused.kind(), refused.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
    assert!(refused.to_string().contains("refuses connections"), "{refused}");
    let mut server = Server::on(TcpListener::bind(address).await.unwrap());
    let got = server.got().await;
    assert_eq!(got.body, CALL);
    got.answer(200, "");
    sending.outcome().await.unwrap();
    assert!(!server.has_more());
}

#[tokio::test]
async fn connecting_is_given_up_after_the_timeout() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let world = World::with(|config| {
        config.server_url = format!("http://{address}/mcp/request");
        config.timeout = Duration::from_millis(300);
    })
    .await;
    let error = world.send(outbound(&world.route(), CALL)).outcome().await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
    assert!(error.to_string().contains("refuses connections"), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_past_the_requests_own_deadline() {
    // takes connections and never gets through with TLS
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/mcp/request", silent.local_addr().unwrap());
    let world = World::with(|config| config.server_url = url).await;
    let mut message = outbound(&world.route(), CALL);
    message.context.deadline = Instant::now() + Duration::from_millis(300);
    let since = Instant::now();
    let error = world.send(message).outcome().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    // one that waited too long already is certain not to have been sent
    let mut late = outbound(&world.route(), CALL);
    late.context.deadline = Instant::now();
    let error = world.send(late).outcome().await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
}

#[tokio::test]
async fn what_may_have_arrived_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp/request", listener.local_addr().unwrap());
    let world = World::with(|config| config.server_url = url).await;
    let sending = world.send(outbound(&world.route(), CALL));
    let (mut connection, _) = in_time(listener.accept()).await.unwrap();
    read_call(&mut connection).await;
    drop(connection);
    let error = sending.outcome().await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::MaybeSent));
    // the next connection is the next message's
    let mut server = Server::on(listener);
    let sending = world.send(outbound(&world.route(), OTHER));
    let got = server.got().await;
    assert_eq!(got.body, OTHER);
    got.answer(200, "");
    sending.outcome().await.unwrap();
    assert!(!server.has_more());
}

#[tokio::test]
async fn what_may_have_arrived_over_a_kept_connection_is_not_sent_again_either() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp/request", listener.local_addr().unwrap());
    let world = World::with(|config| config.server_url = url).await;
    let sending = world.send(outbound(&world.route(), CALL));
    let (mut connection, _) = in_time(listener.accept()).await.unwrap();
    read_call(&mut connection).await;
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    sending.outcome().await.unwrap();
    let sending = world.send(outbound(&world.route(), CALL));
    read_call(&mut connection).await;
    drop(connection);
    let error = sending.outcome().await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::MaybeSent));
    let mut server = Server::on(listener);
    let sending = world.send(outbound(&world.route(), OTHER));
    let got = server.got().await;
    assert_eq!(got.body, OTHER);
    got.answer(200, "");
    sending.outcome().await.unwrap();
    assert!(!server.has_more());
}

#[tokio::test]
async fn a_receipt_that_does_not_come_leaves_it_open() {
    let mut world = World::with(|config| config.timeout = Duration::from_millis(100)).await;
    let sending = world.send(outbound(&world.route(), CALL));
    let got = world.server.got().await;
    let error = sending.outcome().await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::MaybeSent));
    assert!(world.nothing_delivered(), "its answer may still come");
    drop(got);
}

#[tokio::test]
async fn a_check_asks_for_nothing() {
    let mut world = World::start().await;
    for (status, is_fine) in [(405, true), (200, true), (404, true), (503, false)] {
        let backend = Arc::clone(&world.backend);
        let (checked, ()) = tokio::join!(backend.check(), async {
            let got = world.server.got().await;
            assert_eq!((got.method.as_str(), got.body.as_str()), ("OPTIONS", ""));
            assert_eq!((got.header("x-session-id"), got.header("x-client-id")), (None, None));
            got.answer(status, "");
        });
        assert_eq!(checked.is_ok(), is_fine, "{status}");
    }
}

async fn read_call(connection: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(CALL.as_bytes()) {
        assert!(in_time(connection.read_buf(&mut request)).await.unwrap() > 0);
    }
}
