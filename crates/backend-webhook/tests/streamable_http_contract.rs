//! The StreamableHTTP+webhook backend keeps the contract, over a far side that leaves responses open and silent as asyncmcp does for
//! webhook tools, and posts what it has to say.
#![cfg(feature = "streamable-http-webhook")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, Response, StatusCode},
    routing::any,
};
use backend_webhook::{StreamableHttpBackend, StreamableHttpConfig, StreamableHttpParts};
use futures_util::stream;
use prometheus_client::registry::Registry;
use proxy_core::{
    ProxyContext,
    backend::{Inbound, Inbox, Settlement},
    id::{InstanceId, RouteKey},
    message::Message,
};
use reqwest::Client;
use testkit::{
    contract::{Carried, Connection, ContractTarget, FarSide, Returned},
    contract_tests,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long an answer that was given may take to be seen.
const PROMPT: Duration = Duration::from_millis(500);

struct StreamableHttp;

#[async_trait]
impl ContractTarget for StreamableHttp {
    async fn connect(&self, inbox: Arc<dyn Inbox>, instance: InstanceId) -> Connection {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let callbacks = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = StreamableHttpConfig::new(format!("http://{}/mcp", server.local_addr().unwrap()));
        config.client_id = Some("contract".to_owned());
        config.webhook_url = Some(format!("http://{}/callback", callbacks.local_addr().unwrap()));
        let delivered = watch::Sender::default();
        let parts = StreamableHttpParts {
            inbox: Arc::new(Noting { inbox, delivered: delivered.clone() }),
            instance,
            request_timeout_max: Duration::from_hours(1),
            registry: &mut Registry::default(),
            listener: Some(callbacks),
            tls: None,
        };
        let backend = Arc::new(StreamableHttpBackend::connect(config, parts).await.unwrap());
        let (requests, received) = mpsc::channel(64);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let router = Router::new().route("/mcp", any(take)).with_state(requests);
            axum::serve(server, router).await.unwrap();
        });
        let far_side = Side {
            backend: Arc::clone(&backend),
            client: client(),
            received,
            delivered,
            outstanding: watch::Sender::default(),
            previous: watch::Sender::new(true).subscribe(),
            tasks,
        };
        Connection { backend, far_side: Box::new(far_side) }
    }

    fn return_path_is_shared(&self) -> bool {
        false
    }

    fn return_path_names_the_route(&self) -> bool {
        true
    }
}

/// Counts what is delivered.
#[derive(Debug)]
struct Noting {
    inbox: Arc<dyn Inbox>,
    delivered: watch::Sender<usize>,
}

impl Inbox for Noting {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        let settlement = self.inbox.deliver(inbound);
        self.delivered.send_modify(|count| *count += 1);
        settlement
    }
}

/// The server, as far as it takes messages: each response to a request stays open and silent.
async fn take(
    State(requests): State<mpsc::Sender<Carried>>,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> Response<Body> {
    let response = |status: StatusCode| Response::builder().status(status);
    if method != Method::POST {
        return response(StatusCode::METHOD_NOT_ALLOWED).body(Body::empty()).unwrap();
    }
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let client_id = header("x-client-id").unwrap();
    let route = client_id.strip_prefix("contract.").map(str::to_owned);
    let is_request = matches!(Message::parse(body.as_str()), Ok(Message::Request(_)));
    requests.send(Carried { route, version: header("mcp-protocol-version"), body }).await.unwrap();
    if !is_request {
        return response(StatusCode::ACCEPTED).body(Body::empty()).unwrap();
    }
    let silence = stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
    let response = response(StatusCode::OK).header("content-type", "text/event-stream");
    response.body(Body::from_stream(silence)).unwrap()
}

/// The server, as far as it posts: one message after the other has reached the proxy.
struct Side {
    backend: Arc<StreamableHttpBackend>,
    client: Client,
    received: mpsc::Receiver<Carried>,
    delivered: watch::Sender<usize>,
    outstanding: watch::Sender<usize>,
    /// Whether the message before has reached the proxy.
    previous: watch::Receiver<bool>,
    tasks: JoinSet<()>,
}

#[async_trait]
impl FarSide for Side {
    async fn receive(&mut self) -> Carried {
        self.received.recv().await.unwrap()
    }

    async fn put(&mut self, returned: Returned) {
        let Returned { route, related, sequence, body } = returned;
        let key = route.as_deref().and_then(|route| RouteKey::parse(route).ok());
        let key = key.unwrap_or_else(|| RouteKey::random(&InstanceId::random()));
        let url = self.backend.callback_url(&key).unwrap();
        let mut request = self.client.post(url).header("content-type", "application/json").body(body);
        // this server chooses its session ids itself
        request = request.header("mcp-session-id", "0123456789abcdef");
        if related.is_some() || sequence.is_some() {
            let related = related.map(|wire| wire.to_string().into());
            let context =
                ProxyContext { v: ProxyContext::VERSION, related, seq: sequence, ..ProxyContext::default() };
            request = request.header("x-proxy-context", context.to_json());
        }
        let reached = watch::Sender::new(false);
        let mut previous = std::mem::replace(&mut self.previous, reached.subscribe());
        let mut delivered = self.delivered.subscribe();
        let outstanding = self.outstanding.clone();
        outstanding.send_modify(|count| *count += 1);
        self.tasks.spawn(async move {
            previous.wait_for(|reached| *reached).await.unwrap();
            delivered.mark_unchanged();
            let mut answered = Box::pin(post(request));
            tokio::select! {
                () = &mut answered => reached.send_replace(true),
                changed = delivered.changed() => {
                    changed.unwrap();
                    reached.send_replace(true);
                    answered.await;
                    true
                }
            };
            outstanding.send_modify(|count| *count -= 1);
        });
    }

    async fn unacknowledged(&mut self) -> usize {
        let mut outstanding = self.outstanding.subscribe();
        timeout(PROMPT, outstanding.wait_for(|count| *count == 0)).await.ok();
        *outstanding.borrow()
    }
}

fn client() -> Client {
    // another test of this process may have done so
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().build().unwrap()
}

/// Posts until the proxy says what becomes of the message.
async fn post(request: reqwest::RequestBuilder) {
    loop {
        let response = request.try_clone().unwrap().send().await.unwrap();
        if response.status() != StatusCode::SERVICE_UNAVAILABLE {
            return;
        }
        let seconds = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        sleep(Duration::from_secs(seconds)).await; // allowed: the time that the proxy asks for
    }
}

contract_tests!(StreamableHttp);
