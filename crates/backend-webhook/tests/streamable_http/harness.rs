//! The backend between a scripted server and a scripted inbox.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::http::Method;
use backend_webhook::{StreamableHttpBackend, StreamableHttpConfig, StreamableHttpParts};
use prometheus_client::{encoding::text::encode, registry::Registry};
use proxy_core::{
    ProtocolVersion,
    backend::{
        Backend, Context, Disposition, Event, Inbound, Inbox, Outbound, Peer, Remote, Sent, Settlement,
    },
    error::BackendError,
    id::{InstanceId, RemoteSession, RouteKey, WireId},
    message::Message,
};
use reqwest::Client;
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::server::{Got, Server};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The session id that the server gives out.
pub(crate) const SESSION: &str = "1868a90c-7ba3-4d2c-9a3c-6dbd7e4ae1a5";
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
pub(crate) const LOG: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"é"}}"#;

/// Hands what is delivered to the test, and settles it as the test said; otherwise as accepted.
#[derive(Debug)]
pub(crate) struct ScriptedInbox {
    delivered: mpsc::Sender<Inbound>,
    settlements: Mutex<VecDeque<Settlement>>,
}

impl ScriptedInbox {
    pub(crate) fn settle_next(&self, disposition: Disposition) {
        self.settlements.lock().unwrap().push_back(Settlement::Now(disposition));
    }
}

impl Inbox for ScriptedInbox {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        self.delivered.try_send(inbound).unwrap();
        let next = self.settlements.lock().unwrap().pop_front();
        next.unwrap_or(Settlement::Now(Disposition::Accepted))
    }
}

/// A backend, its server, and what it received.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) backend: Arc<StreamableHttpBackend>,
    pub(crate) inbox: Arc<ScriptedInbox>,
    pub(crate) instance: InstanceId,
    pub(crate) shutdown: CancellationToken,
    delivered: mpsc::Receiver<Inbound>,
    registry: Registry,
    running: JoinSet<Result<(), BackendError>>,
}

impl World {
    /// A world without callbacks.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A world where the server is given a callback URL.
    pub(crate) async fn with_callbacks() -> Self {
        Self::on(Server::start().await, |_| {}, true).await
    }

    /// A world whose configuration is changed so.
    pub(crate) async fn with(change: impl FnOnce(&mut StreamableHttpConfig)) -> Self {
        Self::on(Server::start().await, change, false).await
    }

    pub(crate) async fn on(
        server: Server,
        change: impl FnOnce(&mut StreamableHttpConfig),
        callbacks: bool,
    ) -> Self {
        let mut config = StreamableHttpConfig::new(server.url.clone());
        config.client_id = Some("search".to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if callbacks {
            config.webhook_url = Some(format!("http://{}/callback", listener.local_addr().unwrap()));
        }
        change(&mut config);
        let instance = InstanceId::random();
        let (sender, delivered) = mpsc::channel(64);
        let inbox = Arc::new(ScriptedInbox { delivered: sender, settlements: Mutex::default() });
        let mut registry = Registry::default();
        let parts = StreamableHttpParts {
            inbox: Arc::clone(&inbox) as Arc<dyn Inbox>,
            instance: instance.clone(),
            request_timeout_max: Duration::from_hours(1),
            registry: &mut registry,
            listener: callbacks.then_some(listener),
            tls: None,
        };
        let backend = Arc::new(StreamableHttpBackend::connect(config, parts).await.unwrap());
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        let (running_backend, token) = (Arc::clone(&backend), shutdown.clone());
        running.spawn(async move { running_backend.run(token).await });
        Self { server, backend, inbox, instance, shutdown, delivered, registry, running }
    }

    pub(crate) fn route(&self) -> RouteKey {
        RouteKey::random(&self.instance)
    }

    /// Posts to this session's callback URL, and returns the status.
    pub(crate) async fn call_back(&self, route: &RouteKey, session: &str, body: &str) -> u16 {
        // another test of this process may have done so
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder().no_proxy().build().unwrap();
        let request = client.post(self.backend.callback_url(route).unwrap()).body(body.to_owned());
        in_time(request.header("mcp-session-id", session).send()).await.unwrap().status().as_u16()
    }

    pub(crate) async fn delivered(&mut self) -> Inbound {
        in_time(self.delivered.recv()).await.unwrap()
    }

    /// The text of the next message, which must have come on this route.
    pub(crate) async fn message(&mut self, route: &RouteKey) -> String {
        text(self.delivered().await, route)
    }

    /// The failure of the exchange with this number.
    pub(crate) async fn failure(&mut self, wire: &WireId) -> BackendError {
        let Inbound { route, event, .. } = self.delivered().await;
        assert_eq!(route.as_ref(), Some(wire.route()));
        match event {
            Event::ExchangeFailed(Some(failed), error) if failed == *wire => error,
            other => panic!("{other:?}"),
        }
    }

    /// The news that the session of this route is gone.
    pub(crate) async fn gone(&mut self, route: &RouteKey) {
        let inbound = self.delivered().await;
        assert_eq!(inbound.route.as_ref(), Some(route));
        assert!(matches!(inbound.event, Event::SessionGone(_)), "{inbound:?}");
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

    /// Sends a call on a route, and returns its wire id and the request as the server got it.
    pub(crate) async fn call(&mut self, route: &RouteKey, number: u64) -> (WireId, Sending, Got) {
        let wire = WireId::new(route.clone(), number);
        let sending = self.send(outbound(route, number, &call(&wire)));
        let got = self.server.got().await;
        (wire, sending, got)
    }

    /// Finishes a handshake, and returns the GET for the session's standalone stream.
    pub(crate) async fn listening(&mut self, route: &RouteKey) -> Got {
        let sending = self.send(outbound(route, 1, INITIALIZED));
        self.server.got().await.status(202);
        sending.outcome().await.unwrap();
        let got = self.server.got().await;
        assert_eq!(got.method, Method::GET);
        got
    }

    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
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

/// A message in the server's session.
pub(crate) fn outbound(route: &RouteKey, number: u64, text: &str) -> Outbound {
    let message = Message::parse(text).unwrap();
    Outbound {
        remote: Remote { route: route.clone(), peer: Some(Arc::new(peer(SESSION))) },
        about: matches!(message, Message::Request(_)).then(|| WireId::new(route.clone(), number)),
        number,
        context: Context { version: Some(ProtocolVersion::V2025_11_25), deadline: Instant::now() + PATIENCE },
        message,
    }
}

pub(crate) fn call(wire: &WireId) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{wire}","method":"tools/call","params":{{"name":"add"}}}}"#)
}

pub(crate) fn answer(wire: &WireId) -> String {
    format!(r#"{{"jsonrpc":"2.0", "id":"{wire}","result":{{"x":1.50,"y":"é"}} }}"#)
}

pub(crate) fn peer(session: &str) -> Peer {
    Peer { session: Some(RemoteSession::parse(session).unwrap()), ..Peer::default() }
}

pub(crate) fn text(inbound: Inbound, route: &RouteKey) -> String {
    assert_eq!(inbound.route.as_ref(), Some(route));
    match inbound.event {
        Event::Message(message) => message.into_text(),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it came in time")
}
