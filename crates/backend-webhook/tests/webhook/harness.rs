//! A backend between a scripted server and an inbox that does what it is told.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, Response},
    serve::ListenerExt as _,
};
use backend_webhook::{WebhookBackend, WebhookConfig, WebhookParts};
use prometheus_client::{encoding::text::encode, registry::Registry};
use proxy_core::{
    ProtocolVersion,
    backend::{Backend, Context, Disposition, Inbound, Inbox, Outbound, Peer, Remote, Sent, Settlement},
    error::BackendError,
    id::{InstanceId, RemoteSession, RouteKey, WireId},
    message::Message,
};
use reqwest::Client;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const INITIALIZE: &str =
    r#"{"jsonrpc":"2.0","id":"1","method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;
pub(crate) const CALL: &str = r#"{"jsonrpc":"2.0","id":"2","method":"tools/call","params":{"name":"add"}}"#;
pub(crate) const ANSWER: &str = r#"{"jsonrpc":"2.0","id":"2","result":{}}"#;

/// Hands what is delivered to the test, and settles it as the test said; otherwise as accepted.
#[derive(Debug)]
pub(crate) struct ScriptedInbox {
    delivered: mpsc::Sender<Inbound>,
    settlements: Mutex<VecDeque<Settlement>>,
}

impl ScriptedInbox {
    pub(crate) fn settle_next(&self, settlement: Settlement) {
        self.settlements.lock().unwrap().push_back(settlement);
    }
}

impl Inbox for ScriptedInbox {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        self.delivered.try_send(inbound).unwrap();
        let next = self.settlements.lock().unwrap().pop_front();
        next.unwrap_or(Settlement::Now(Disposition::Accepted))
    }
}

/// A request that the server got.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// Answers it with this status and body.
    pub(crate) answer: oneshot::Sender<Response<Body>>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn answer(self, status: u16, body: &str) {
        let response = Response::builder().status(status).body(Body::from(body.to_owned())).unwrap();
        self.answer.send(response).expect("the backend waits for the receipt");
    }
}

/// A server that leaves each request to the test.
pub(crate) struct Server {
    pub(crate) url: String,
    got: mpsc::Receiver<Got>,
    pub(crate) connections: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        let url = format!("http://{}/mcp/request", listener.local_addr().unwrap());
        let (requests, got) = mpsc::channel(64);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let listener = listener.tap_io(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let router = Router::new().fallback(ask_the_test).with_state(requests);
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, got, connections, _serving: serving }
    }

    pub(crate) async fn got(&mut self) -> Got {
        in_time(self.got.recv()).await.unwrap()
    }

    pub(crate) fn has_more(&mut self) -> bool {
        self.got.try_recv().is_ok()
    }
}

async fn ask_the_test(State(requests): State<mpsc::Sender<Got>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    let (answer, answered) = oneshot::channel();
    requests.send(Got { method: parts.method, headers: parts.headers, body, answer }).await.unwrap();
    // without an answer the connection stays silent
    match answered.await {
        Ok(response) => response,
        Err(_) => std::future::pending().await,
    }
}

/// A backend, its server, and what it received.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) backend: Arc<WebhookBackend>,
    pub(crate) inbox: Arc<ScriptedInbox>,
    pub(crate) instance: InstanceId,
    pub(crate) client: Client,
    pub(crate) shutdown: CancellationToken,
    pub(crate) delivered: mpsc::Receiver<Inbound>,
    registry: Registry,
    running: JoinSet<Result<(), BackendError>>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A world whose configuration is changed so.
    pub(crate) async fn with(change: impl FnOnce(&mut WebhookConfig)) -> Self {
        let server = Server::start().await;
        let mut config = WebhookConfig::new(server.url.clone());
        config.client_id = Some("search".to_owned());
        change(&mut config);
        let instance = InstanceId::random();
        let (sender, delivered) = mpsc::channel(64);
        let inbox = Arc::new(ScriptedInbox { delivered: sender, settlements: Mutex::default() });
        let mut registry = Registry::default();
        let parts = WebhookParts {
            inbox: Arc::clone(&inbox) as Arc<dyn Inbox>,
            instance: instance.clone(),
            registry: &mut registry,
            client: None,
            listener: Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
        };
        let backend = Arc::new(WebhookBackend::connect(config, parts).await.unwrap());
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        let (running_backend, token) = (Arc::clone(&backend), shutdown.clone());
        running.spawn(async move { running_backend.run(token).await });
        let client = client();
        Self { server, backend, inbox, instance, client, shutdown, delivered, registry, running }
    }

    pub(crate) fn route(&self) -> RouteKey {
        RouteKey::random(&self.instance)
    }

    /// A post to this session's callback URL.
    pub(crate) fn callback(&self, route: &RouteKey, body: &str) -> reqwest::RequestBuilder {
        self.client.post(self.backend.callback_url(route)).body(body.to_owned())
    }

    pub(crate) async fn delivered(&mut self) -> Inbound {
        in_time(self.delivered.recv()).await.unwrap()
    }

    pub(crate) fn nothing_delivered(&mut self) -> bool {
        self.delivered.try_recv().is_err()
    }

    /// Begins to send, on a task of its own.
    pub(crate) fn send(&self, outbound: Outbound) -> Sending {
        let backend = Arc::clone(&self.backend);
        let mut sends = JoinSet::new();
        sends.spawn(async move { backend.send(outbound).await });
        Sending(sends)
    }

    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.running.try_join_next().is_none()
    }

    pub(crate) async fn stopped(&mut self) {
        in_time(self.running.join_next()).await.unwrap().unwrap().unwrap();
    }
}

/// A send that was begun.
pub(crate) struct Sending(JoinSet<Result<Sent, BackendError>>);

impl Sending {
    pub(crate) async fn outcome(mut self) -> Result<Sent, BackendError> {
        in_time(self.0.join_next()).await.unwrap().unwrap()
    }
}

/// A client as a far end has one.
pub(crate) fn client() -> Client {
    // another test of this process may have done so
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().build().unwrap()
}

pub(crate) fn outbound(route: &RouteKey, text: &str) -> Outbound {
    let message = Message::parse(text).unwrap();
    Outbound {
        remote: Remote { route: route.clone(), peer: None },
        about: matches!(message, Message::Request(_)).then(|| WireId::new(route.clone(), 0)),
        number: 0,
        context: Context { version: Some(ProtocolVersion::V2025_06_18), deadline: Instant::now() + PATIENCE },
        message,
    }
}

pub(crate) fn peer(session: &str) -> Peer {
    Peer { session: Some(RemoteSession::parse(session).unwrap()), ..Peer::default() }
}

pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it came in time")
}
