//! TLS and HTTP versions, over a server with a certificate of its own.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::body::Body;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy_core::error::Delivery;
use reqwest::Version;
use rustls::{
    RootCertStore, ServerConfig,
    client::WebPkiServerVerifier,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A server for `localhost` that speaks these protocols.
struct Server {
    url: String,
    certificate: CertificateDer<'static>,
    connections: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Server {
    async fn start(protocols: &[&str]) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let acceptor = acceptor.clone();
                open.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service =
                        service_fn(async |_| Ok::<_, Infallible>(hyper::Response::new(Body::from("taken"))));
                    let io = TokioIo::new(stream);
                    let served = if is_http2 {
                        http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
                    } else {
                        http1::Builder::new().serve_connection(io, service).await
                    };
                    // clients close connections as they like
                    served.ok();
                });
            }
        });
        Self { url, certificate, connections, _serving: serving }
    }

    /// The client as it always is, but for whom it trusts.
    fn client(&self) -> HttpClient {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let mut config = tls::config().unwrap();
        config.dangerous().set_certificate_verifier(verifier);
        HttpClient { client: client(TIMEOUT, config).unwrap(), headers: HeaderMap::new(), timeout: TIMEOUT }
    }
}

async fn post(client: &HttpClient, url: &str) -> Result<(Version, BytesMut), BackendError> {
    let request = || client.request(Method::POST, url).body("x").timeout(TIMEOUT);
    let mut response = client.send("send", Instant::now(), request).await?;
    let body = read_body("send", &mut response, 3).await?;
    Ok((response.version(), body))
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered_and_one_connection_carries_all() {
    let server = Server::start(&["h2", "http/1.1"]).await;
    let client = server.client();
    assert_eq!(post(&client, &server.url).await.unwrap().0, Version::HTTP_2);
    let mut posts = JoinSet::new();
    for _ in 0..20 {
        let (client, url) = (client.clone(), server.url.clone());
        posts.spawn(async move { post(&client, &url).await.unwrap() });
    }
    for (version, body) in posts.join_all().await {
        assert_eq!((version, &*body), (Version::HTTP_2, &b"tak"[..]));
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn http1_is_spoken_elsewhere() {
    let server = Server::start(&["http/1.1"]).await;
    assert_eq!(post(&server.client(), &server.url).await.unwrap().0, Version::HTTP_11);
}

#[tokio::test]
async fn a_certificate_of_nobody_we_know_is_refused_before_anything_is_sent() {
    let server = Server::start(&["h2"]).await;
    let client = HttpClient::new(TIMEOUT, HeaderMap::new(), None).unwrap();
    let error = post(&client, &server.url).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told_so() {
    let client = HttpClient::new(TIMEOUT, HeaderMap::new(), None).unwrap();
    let error = post(&client, "https://mcp.invalid/").await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
    assert!(error.to_string().contains("name cannot be resolved"), "{error}");
}
