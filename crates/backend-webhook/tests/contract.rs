//! The webhook backend keeps the contract, over a far side that posts as asyncmcp does and, unlike it, again when asked to.
#![cfg(feature = "webhook")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode},
    routing::any,
};
use backend_webhook::{WebhookBackend, WebhookConfig, WebhookParts};
use prometheus_client::registry::Registry;
use proxy_core::{
    ProxyContext,
    backend::{Inbound, Inbox, Settlement},
    id::{InstanceId, RouteKey},
};
use reqwest::{Client, RequestBuilder};
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

struct Webhook;

#[async_trait]
impl ContractTarget for Webhook {
    async fn connect(&self, inbox: Arc<dyn Inbox>, instance: InstanceId) -> Connection {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = WebhookConfig::new(format!("http://{}/mcp/request", server.local_addr().unwrap()));
        let delivered = watch::Sender::default();
        let parts = WebhookParts {
            inbox: Arc::new(Noting { inbox, delivered: delivered.clone() }),
            instance,
            registry: &mut Registry::default(),
            client: None,
            listener: Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
        };
        let backend = Arc::new(WebhookBackend::connect(config, parts).await.unwrap());
        let (requests, received) = mpsc::channel(64);
        let state = Arc::new(Server { requests, own: Mutex::default(), ended: Mutex::default() });
        let router = Router::new()
            .route("/mcp/request", any(take).layer(DefaultBodyLimit::disable()))
            .with_state(Arc::clone(&state));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(server, router).await.unwrap() });
        let far_side = WebhookSide {
            backend: Arc::clone(&backend),
            client: client(),
            server: state,
            serving,
            received,
            delivered,
            outstanding: watch::Sender::default(),
            previous: watch::Sender::new(true).subscribe(),
            posts: JoinSet::new(),
        };
        Connection { backend, far_side: Box::new(far_side) }
    }

    fn return_path_is_shared(&self) -> bool {
        false
    }

    fn return_path_names_the_route(&self) -> bool {
        true
    }

    fn largest_message(&self) -> usize {
        usize::MAX
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

/// The server, as far as it takes messages.
struct Server {
    requests: mpsc::Sender<Carried>,
    /// The session id that receipts name.
    own: Mutex<Option<String>>,
    /// The sessions that were ended.
    ended: Mutex<Vec<String>>,
}

async fn take(
    State(server): State<Arc<Server>>,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let route = header("x-session-id");
    if method == Method::DELETE {
        server.ended.lock().unwrap().extend(route);
        return (StatusCode::OK, r#"{"status":"terminated"}"#.to_owned());
    }
    if method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, String::new());
    }
    let session = server.own.lock().unwrap().clone().or_else(|| route.clone());
    let carried = Carried { route, version: header("x-protocol-version"), body };
    server.requests.send(carried).await.unwrap();
    let receipt = match header("x-method").as_deref() {
        Some("initialize") => serde_json::json!({ "status": "session_created", "session_id": session }),
        _ => serde_json::json!({ "status": "received" }),
    };
    (StatusCode::OK, receipt.to_string())
}

/// The server, as far as it posts: one message after the other has reached the proxy.
struct WebhookSide {
    backend: Arc<WebhookBackend>,
    client: Client,
    server: Arc<Server>,
    serving: JoinSet<()>,
    received: mpsc::Receiver<Carried>,
    delivered: watch::Sender<usize>,
    outstanding: watch::Sender<usize>,
    /// Whether the message before has reached the proxy.
    previous: watch::Receiver<bool>,
    posts: JoinSet<()>,
}

impl WebhookSide {
    /// Posts once the message before has reached the proxy.
    fn post(&mut self, request: RequestBuilder) {
        let reached = watch::Sender::new(false);
        let mut previous = std::mem::replace(&mut self.previous, reached.subscribe());
        let mut delivered = self.delivered.subscribe();
        let outstanding = self.outstanding.clone();
        outstanding.send_modify(|count| *count += 1);
        self.posts.spawn(async move {
            previous.wait_for(|reached| *reached).await.unwrap();
            delivered.mark_unchanged();
            let mut answered = Box::pin(post(request));
            tokio::select! {
                () = &mut answered => drop(reached.send_replace(true)),
                changed = delivered.changed() => {
                    changed.unwrap();
                    reached.send_replace(true);
                    answered.await;
                }
            };
            outstanding.send_modify(|count| *count -= 1);
        });
    }
}

#[async_trait]
impl FarSide for WebhookSide {
    async fn receive(&mut self) -> Carried {
        self.received.recv().await.unwrap()
    }

    async fn put(&mut self, returned: Returned) {
        let Returned { route, related, sequence, body } = returned;
        let key = route.as_deref().and_then(|route| RouteKey::parse(route).ok());
        let stranger = self.backend.callback_url(&RouteKey::random(&InstanceId::random()));
        let url = key.map_or(stranger, |key| self.backend.callback_url(&key));
        let mut request = self.client.post(url).header("content-type", "application/json").body(body);
        if let Some(route) = route {
            request = request.header("x-session-id", route);
        }
        if related.is_some() || sequence.is_some() {
            let related = related.map(|wire| wire.to_string().into());
            let context =
                ProxyContext { v: ProxyContext::VERSION, related, seq: sequence, ..ProxyContext::default() };
            request = request.header("x-proxy-context", context.to_json());
        }
        self.post(request);
    }

    async fn unacknowledged(&mut self) -> usize {
        let mut outstanding = self.outstanding.subscribe();
        timeout(PROMPT, outstanding.wait_for(|count| *count == 0)).await.ok();
        *outstanding.borrow()
    }

    async fn put_as(&mut self, route: &RouteKey, session: &str, body: &str) -> bool {
        let url = self.backend.callback_url(route);
        self.post(self.client.post(url).header("x-session-id", session).body(body.to_owned()));
        true
    }

    async fn name_in_receipts(&mut self, session: &str) -> bool {
        *self.server.own.lock().unwrap() = Some(session.to_owned());
        true
    }

    async fn told_ended(&mut self) -> Option<Vec<String>> {
        Some(self.server.ended.lock().unwrap().clone())
    }

    async fn go_down(&mut self) -> bool {
        self.serving.shutdown().await;
        true
    }
}

fn client() -> Client {
    // another test of this process may have done so
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().build().unwrap()
}

/// Posts until the proxy says what becomes of the message.
async fn post(request: RequestBuilder) {
    loop {
        let response = request.try_clone().unwrap().send().await.unwrap();
        if response.status() != StatusCode::SERVICE_UNAVAILABLE {
            return;
        }
        let seconds = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        // allowed: the protocol's own wait
        sleep(Duration::from_secs(seconds)).await;
    }
}

contract_tests!(Webhook);
