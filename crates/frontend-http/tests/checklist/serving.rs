//! The server: what it refuses to start with, and how it stops.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::Method};
use frontend_http::{App, SecurityConfig, ServeError, ServerConfig, serve};
use prometheus_client::registry::Registry;
use proxy_core::{Proxy, Router, config::SessionConfig, id::InstanceId};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    far_end::FarEnd,
    harness::{Harness, Setup, call, text},
    http::{Background, Http, request, within},
};

fn proxy() -> Arc<Proxy> {
    let router =
        Router::new(InstanceId::random(), SessionConfig::default(), 1 << 20, &mut Registry::default());
    let backend = FarEnd::new(Arc::clone(&router)).backend;
    Proxy::new(router, backend)
}

#[tokio::test]
async fn listening_beyond_loopback_without_a_token_is_refused() {
    let mut server = ServerConfig::default();
    server.host.replace_range(.., "0.0.0.0");
    let refused = App::new(proxy(), &server, &SecurityConfig::default()).unwrap_err();
    assert_eq!(refused.problems[0].key, "security.auth_tokens");

    // Whatever the settings say, the listener decides who gets in.
    let app = App::new(proxy(), &ServerConfig::default(), &SecurityConfig::default()).unwrap();
    let listener = TcpListener::bind(("0.0.0.0", 0)).await.unwrap();
    let refused = serve(listener, app, CancellationToken::new()).await;
    assert!(matches!(refused, Err(ServeError::Unprotected { .. })));
}

#[tokio::test]
async fn a_token_file_that_was_not_read_is_refused() {
    let security: SecurityConfig =
        serde_json::from_str(r#"{"auth_tokens": [{"name": "ci", "token_file": "ci.token"}]}"#).unwrap();
    let refused = App::new(proxy(), &ServerConfig::default(), &security).unwrap_err();
    assert!(refused.to_string().contains("security.auth_tokens.0.token_file was not read"), "{refused}");
}

#[tokio::test]
async fn the_path_is_configurable() {
    let mut harness = Harness::start(|setup| setup.server.server_path = "/tools/v1".to_owned()).await;
    let at = |path: &str| request(Method::PUT).uri(path.to_owned()).body(Body::empty()).unwrap();
    assert_eq!(harness.http.send(at("/tools/v1")).await.status, 405);
    assert_eq!(harness.http.send(at("/mcp")).await.status, 404);
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn stopping_closes_idle_connections_and_lets_responses_finish() {
    let mut harness = Harness::start(|_| {}).await;
    let Http::Tcp(address) = harness.http.clone() else { panic!("a test over TCP") };
    let client = harness.open("2025-11-25").await;
    let (request, reply) = harness.call(&client, call(1)).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"ok\n") {
        seen.push(within(idle.read_u8()).await.unwrap());
    }
    harness.shutdown.cancel();
    assert_eq!(within(idle.read(&mut [0])).await.unwrap(), 0, "an idle connection is closed");
    harness.far.answer(&request, &text("done"));
    assert_eq!(reply.join().await.json().await["result"], text("done"));
    while let Some(ended) = within(harness.serving.join_next()).await {
        ended.unwrap();
    }
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_drain_ends_open_streams_so_that_stopping_does_not_hang() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-11-25").await;
    let mut standalone = client.get().await.events();
    let (request, mut of_call) = harness.call_streaming(&client, call(1)).await;
    let proxy = Arc::clone(&harness.proxy);
    let deadline = Instant::now() + Duration::from_secs(20);
    let drained = Background::run(async move { proxy.drain(deadline).await });
    assert_eq!(within(standalone.message()).await, None);
    harness.far.answer(&request, &text("done"));
    assert_eq!(of_call.message().await.unwrap().1["result"], text("done"));
    drained.join().await;
    harness.shutdown.cancel();
    while let Some(ended) = within(harness.serving.join_next()).await {
        ended.unwrap();
    }
}
