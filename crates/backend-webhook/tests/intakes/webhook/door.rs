//! Who comes in at all, and with what.

use std::time::Duration;

use proxy_core::config::Secret;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{CALL, INITIALIZE, World, configured, said};
use crate::desk::{in_time, next};

#[tokio::test]
async fn what_is_no_message_of_a_client_never_reaches_the_desk() {
    let config = configured(|config| config.max_message = 512);
    let mut world = World::with(config).await;
    let large = format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, "m".repeat(600));
    for (body, status, code) in [
        ("{", 400, -32700),
        ("\u{feff}", 400, -32700),
        ("[]", 400, -32600),
        (r#"{"id":1}"#, 400, -32600),
        (&large, 413, -32600),
    ] {
        let (found, error) = said(world.post(body).send().await.unwrap()).await;
        assert_eq!((found, error["error"]["code"].as_i64()), (status, Some(code)), "{body}");
        assert_eq!(error["id"], "server-error");
    }
    let latin = world.post("").body(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xe9\"}".to_vec());
    assert_eq!(said(latin.send().await.unwrap()).await.0, 400);
    let plain = world.client.post(&world.url).header("x-client-id", "c").body(CALL);
    assert_eq!(said(plain.send().await.unwrap()).await.0, 415);
    assert!(world.arrivals.try_recv().is_err());
}

#[tokio::test]
async fn headers_that_are_missing_or_wrong_are_refused() {
    let mut world = World::start().await;
    let post = |body: &'static str| {
        world.client.post(&world.url).header("content-type", "application/json").body(body)
    };
    let long = "s".repeat(1025);
    for request in [
        post(INITIALIZE),
        post(INITIALIZE).header("x-client-id", ""),
        post(CALL).header("x-client-id", "c").header("x-session-id", "a b"),
        post(CALL).header("x-client-id", "c").header("x-session-id", &long),
        post(CALL).header("x-client-id", "c").header("x-session-id", "a").header("x-session-id", "b"),
        post(CALL).header("x-client-id", "c").header("x-protocol-version", "1"),
        post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).header("x-client-id", "c"),
        world.client.delete(&world.url),
    ] {
        let (status, error) = said(request.send().await.unwrap()).await;
        assert_eq!(status, 400, "{error}");
        assert!(error["error"]["message"].is_string(), "{error}");
    }
    assert!(world.arrivals.try_recv().is_err());
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let world = World::start().await;
    let response = world.client.get(&world.url).send().await.unwrap();
    assert_eq!(response.headers()["allow"], "POST, DELETE");
    assert_eq!(said(response).await.0, 405);
    let elsewhere = format!("{}/x", world.url);
    assert_eq!(said(world.client.post(elsewhere).send().await.unwrap()).await.0, 404);
}

#[tokio::test]
async fn a_web_page_does_not_get_in_through_a_browser() {
    let config = configured(|config| config.allowed_hosts = vec!["mcp.example.com".to_owned()]);
    let mut world = World::with(config).await;
    for (name, value, status) in [
        ("host", "evil.example", 421),
        ("host", "evil.example:8000", 421),
        ("host", "127.0.0.1.evil.example", 421),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://localhost.evil.example", 403),
        ("host", "localhost:8000", 200),
        ("host", "[::1]:8000", 200),
        ("host", "MCP.example.com", 200),
        ("origin", "http://localhost:6274", 200),
        ("origin", "https://mcp.example.com", 200),
    ] {
        let request = world.post(CALL).header("x-session-id", "s").header(name, value);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{name}: {value}");
        if status == 200 {
            next(&mut world.arrivals).await;
        }
    }
    assert!(world.arrivals.try_recv().is_err());
}

#[tokio::test]
async fn without_the_token_nobody_gets_in() {
    let config = configured(|config| config.auth_token = Some(Secret::new("hush")));
    let world = World::with(config).await;
    let post = || world.post(CALL).header("x-session-id", "s");
    for request in [
        post(),
        post().bearer_auth("hus"),
        post().bearer_auth("hushh"),
        post().header("authorization", "Basic hush"),
        post().bearer_auth("hush").bearer_auth("hush"),
        world.client.delete(&world.url).header("x-session-id", "s"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(said(response).await.0, 401);
    }
    assert_eq!(said(post().bearer_auth("hush").send().await.unwrap()).await.0, 200);
    assert!(world.metrics().contains(r#"reason="token""#));
}

#[tokio::test]
async fn a_client_that_sends_rubbish_is_let_go() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.intake.address()).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nx: {}\r\n", "x".repeat(128 * 1024));
    // the intake may close before all of it is written
    drop(stream.write_all(head.as_bytes()).await);
    let mut answer = Vec::new();
    let ended = in_time(stream.read_to_end(&mut answer)).await;
    assert!(ended.is_err() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    // and the others are served on
    assert_eq!(said(world.post(CALL).send().await.unwrap()).await.0, 200);
}

#[tokio::test]
async fn many_slow_clients_do_not_keep_the_others_out() {
    let world = World::start().await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(world.intake.address()).await.unwrap();
        stream
            .write_all(b"POST /mcp/request HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n")
            .await
            .unwrap();
        slow.push(stream);
    }
    let quick = world.post(CALL).timeout(Duration::from_secs(10));
    assert_eq!(said(quick.send().await.unwrap()).await.0, 200);
}
