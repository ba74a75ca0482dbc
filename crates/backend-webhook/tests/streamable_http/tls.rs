//! The server behind TLS.

use std::sync::Arc;

use backend_webhook::{StreamableHttpBackend, StreamableHttpConfig, StreamableHttpParts};
use prometheus_client::registry::Registry;
use proxy_core::{
    backend::Backend as _,
    config::SessionConfig,
    error::{Delivery, ErrorKind},
    id::{InstanceId, RouteKey, WireId},
};
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::harness::{in_time, outbound};

const NOTIFICATION: &str = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;

/// A server that accepts each message, and how it is proven.
async fn server() -> (String, ClientConfig, JoinSet<()>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.clone()], key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/mcp", listener.local_addr().unwrap().port());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(NOTIFICATION.as_bytes()) {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider);
    let client = client.with_safe_default_protocol_versions().unwrap();
    (url, client.with_root_certificates(roots).with_no_client_auth(), tasks)
}

async fn backend(url: &str, tls: Option<ClientConfig>) -> (StreamableHttpBackend, WireId) {
    let mut config = StreamableHttpConfig::new(url);
    config.timeout = std::time::Duration::from_millis(500);
    let instance = InstanceId::random();
    let wire = WireId::new(RouteKey::random(&instance), 0);
    let registry = &mut Registry::default();
    let inbox =
        proxy_core::Router::new(instance.clone(), SessionConfig::default(), 1024, &mut Registry::default());
    let request_timeout_max = std::time::Duration::from_hours(1);
    let parts = StreamableHttpParts { inbox, instance, request_timeout_max, registry, listener: None, tls };
    (StreamableHttpBackend::connect(config, parts).await.unwrap(), wire)
}

#[tokio::test]
async fn a_server_that_is_proven_is_spoken_to() {
    let (url, mut tls, _server) = server().await;
    // the backend says itself what it speaks
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let (backend, wire) = backend(&url, Some(tls)).await;
    in_time(backend.send(outbound(wire.route(), 0, NOTIFICATION))).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_proven_gets_nothing() {
    let (url, _, _server) = server().await;
    let (backend, wire) = backend(&url, None).await;
    let error = in_time(backend.send(outbound(wire.route(), 0, NOTIFICATION))).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
}
