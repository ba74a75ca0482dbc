//! Connections, down to the bytes: what is used again, and what a server may do with HTTP/1.1.

use proxy_core::{
    error::{Delivery, ErrorKind},
    id::{RouteKey, WireId},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::harness::{Sending, World, answer, call, in_time, outbound};

/// A server of which the test writes every byte.
struct RawServer(TcpListener);

impl RawServer {
    async fn start() -> (Self, World) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let world = World::with(|config| config.server_url = format!("http://{address}/mcp")).await;
        (Self(listener), world)
    }

    async fn connection(&self) -> TcpStream {
        in_time(self.0.accept()).await.unwrap().0
    }
}

/// Reads one request that carries this message.
async fn request(connection: &mut TcpStream, message: &str) {
    let mut got = Vec::new();
    while !got.ends_with(message.as_bytes()) {
        assert_ne!(in_time(connection.read_buf(&mut got)).await.unwrap(), 0, "the request came whole");
    }
    let heads = String::from_utf8(got).unwrap().matches("POST /mcp HTTP/1.1\r\n").count();
    assert_eq!(heads, 1, "one request at a time");
}

async fn write(connection: &mut TcpStream, bytes: &str) {
    in_time(connection.write_all(bytes.as_bytes())).await.unwrap();
}

fn json(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Begins a call, which comes over a new connection.
async fn asked(
    server: &RawServer,
    world: &World,
    route: &RouteKey,
    number: u64,
) -> (WireId, Sending, TcpStream) {
    let wire = WireId::new(route.clone(), number);
    let sending = world.send(outbound(route, number, &call(&wire)));
    let mut connection = server.connection().await;
    request(&mut connection, &call(&wire)).await;
    (wire, sending, connection)
}

/// Sends a call over this connection and has the server write this.
async fn answered(
    world: &mut World,
    connection: &mut TcpStream,
    route: &RouteKey,
    number: u64,
    bytes: impl FnOnce(&str) -> String,
) {
    let wire = WireId::new(route.clone(), number);
    let sending = world.send(outbound(route, number, &call(&wire)));
    request(connection, &call(&wire)).await;
    write(connection, &bytes(&answer(&wire))).await;
    sending.outcome().await.unwrap();
    assert_eq!(world.message(route).await, answer(&wire));
}

#[tokio::test]
async fn a_connection_is_used_again_whatever_form_its_last_answer_had() {
    let (server, mut world) = RawServer::start().await;
    let route = world.route();
    let (wire, sending, mut connection) = asked(&server, &world, &route, 1).await;
    write(&mut connection, &json(&answer(&wire))).await;
    sending.outcome().await.unwrap();
    world.message(&route).await;
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    answered(&mut world, &mut connection, &route, 2, |answer| {
        format!("{chunked}{:x};x=y\r\n{answer}\r\n0\r\nx-trailer: 1\r\n\r\n", answer.len())
    })
    .await;
    answered(&mut world, &mut connection, &route, 3, |answer| {
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n{}", json(answer))
    })
    .await;
    answered(&mut world, &mut connection, &route, 4, json).await;
}

#[tokio::test]
async fn a_connection_that_says_more_than_it_was_asked_is_not_used_again() {
    let (server, mut world) = RawServer::start().await;
    let route = world.route();
    // an answer to the next request, before that is asked
    let next = answer(&WireId::new(route.clone(), 2));
    for (number, surplus) in [
        (1, json(&next)),
        (2, "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n".to_owned()),
        (3, "\r\n\r\njunk".to_owned()),
    ] {
        let (wire, sending, mut connection) = asked(&server, &world, &route, number).await;
        write(&mut connection, &format!("{}{surplus}", json(&answer(&wire)))).await;
        sending.outcome().await.unwrap();
        assert_eq!(world.message(&route).await, answer(&wire));
        assert!(world.nothing_delivered());
    }
}

#[tokio::test]
async fn a_connection_that_ends_with_its_answer_is_not_used_again() {
    let (server, mut world) = RawServer::start().await;
    let route = world.route();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    for (number, says) in [(1, ""), (2, "connection: close\r\n")] {
        let (wire, sending, mut connection) = asked(&server, &world, &route, number).await;
        let length = answer(&wire).len();
        let length = if says.is_empty() { String::new() } else { format!("content-length: {length}\r\n") };
        write(&mut connection, &format!("{head}{says}{length}\r\n{}", answer(&wire))).await;
        drop(connection);
        sending.outcome().await.unwrap();
        assert_eq!(world.message(&route).await, answer(&wire));
    }
    // closed without a word while nothing was asked
    let (wire, sending, mut connection) = asked(&server, &world, &route, 3).await;
    write(&mut connection, &json(&answer(&wire))).await;
    connection.shutdown().await.unwrap();
    sending.outcome().await.unwrap();
    world.message(&route).await;
    let (wire, sending, mut connection) = asked(&server, &world, &route, 4).await;
    write(&mut connection, &json(&answer(&wire))).await;
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, answer(&wire));
}

/// It may have run.
#[tokio::test]
async fn a_request_on_a_connection_that_breaks_is_not_sent_again() {
    let (server, mut world) = RawServer::start().await;
    let route = world.route();
    let (wire, sending, mut connection) = asked(&server, &world, &route, 1).await;
    write(&mut connection, &json(&answer(&wire))).await;
    sending.outcome().await.unwrap();
    world.message(&route).await;
    for (number, said) in [
        (2, String::new()),
        (3, "HTTP/1.1 200 OK\r\ncontent-type: applica".to_owned()),
        (4, "no HTTP at all\r\n\r\n".to_owned()),
        (5, format!("HTTP/1.1 200 OK\r\n{}", "x-endless: head\r\n".repeat(40_000))),
    ] {
        let wire = WireId::new(route.clone(), number);
        let sending = world.send(outbound(&route, number, &call(&wire)));
        if number > 2 {
            connection = server.connection().await;
        }
        request(&mut connection, &call(&wire)).await;
        // it may hang up in the middle of a head that is too large
        in_time(connection.write_all(said.as_bytes())).await.ok();
        drop(connection);
        let error = sending.outcome().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::Unavailable, Delivery::MaybeSent),
            "{number}"
        );
        assert_eq!(world.failure(&wire).await.kind(), ErrorKind::Unavailable, "{number}");
        connection = {
            // nothing was sent again: the next to connect is the next call
            let (wire, sending, mut next) = asked(&server, &world, &route, number + 10).await;
            write(&mut next, "HTTP/1.1 200 OK\r\nconnection: close\r\n").await;
            write(&mut next, json(&answer(&wire)).trim_start_matches("HTTP/1.1 200 OK\r\n")).await;
            sending.outcome().await.unwrap();
            assert_eq!(world.message(&route).await, answer(&wire));
            next
        };
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let (server, mut world) = RawServer::start().await;
    let route = world.route();
    for (number, framing) in [(1, "content-length: 1000\r\n"), (2, "transfer-encoding: chunked\r\n")] {
        let (wire, sending, mut connection) = asked(&server, &world, &route, number).await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{framing}\r\n");
        let body = answer(&wire);
        let body = if number == 1 { body } else { format!("{:x}\r\n{body}\r\n", body.len()) };
        write(&mut connection, &format!("{head}{body}")).await;
        drop(connection);
        sending.outcome().await.unwrap();
        assert_eq!(world.failure(&wire).await.kind(), ErrorKind::Unavailable);
        assert!(world.nothing_delivered());
    }
}

/// A server may refuse before it has read everything.
#[tokio::test]
async fn a_connection_with_a_request_half_written_is_not_used_again() {
    let (server, mut world) = RawServer::start().await;
    let route = world.route();
    let wire = WireId::new(route.clone(), 1);
    let text = call(&wire).replace("add", &"x".repeat(12_000_000));
    let sending = world.send(outbound(&route, 1, &text));
    let mut connection = server.connection().await;
    let mut some = [0; 1_000];
    in_time(connection.read_exact(&mut some)).await.unwrap();
    write(&mut connection, "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n").await;
    let error = sending.outcome().await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::NotSent));
    let (wire, sending, mut connection) = asked(&server, &world, &route, 2).await;
    write(&mut connection, &json(&answer(&wire))).await;
    sending.outcome().await.unwrap();
    assert_eq!(world.message(&route).await, answer(&wire));
}
