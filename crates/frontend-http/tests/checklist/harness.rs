//! A proxy under test: the HTTP front end, the core, and the far end in the test's hands.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Method, request::Builder},
};
use frontend_http::{App, HttpMetrics, SecurityConfig, ServerConfig, serve};
use prometheus_client::registry::Registry;
use proxy_core::{Proxy, Router, backend::Outbound, config::SessionConfig, id::InstanceId, id::RouteKey};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    far_end::FarEnd,
    http::{Background, Events, Http, Reply, request},
};

/// What a test may set before it starts.
pub(crate) struct Setup {
    pub(crate) server: ServerConfig,
    pub(crate) security: SecurityConfig,
    pub(crate) session: SessionConfig,
    pub(crate) max_memory: usize,
    in_memory: bool,
    /// Applied to the app before it serves.
    pub(crate) adjust: Box<dyn FnOnce(App) -> App + Send>,
}

pub(crate) struct Harness {
    pub(crate) http: Http,
    pub(crate) far: FarEnd,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: JoinSet<()>,
}

/// A client with a session.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: Http,
    pub(crate) session: String,
    pub(crate) route: RouteKey,
    /// Sent with every request, beside those that every client sends.
    headers: Vec<(&'static str, String)>,
}

impl Setup {
    /// Answers are JSON unless something else comes first, however long they take.
    fn new() -> Self {
        let mut session = SessionConfig::default();
        session.sse_after = Duration::from_hours(1);
        Self {
            server: ServerConfig::default(),
            security: SecurityConfig::default(),
            session,
            max_memory: 1 << 28,
            in_memory: false,
            adjust: Box::new(|app| app),
        }
    }

    /// Every reply is a stream where the client takes one.
    pub(crate) fn streaming(&mut self) {
        self.session.sse_after = Duration::ZERO;
    }

    /// Over a pipe in memory, so that the clock can be paused.
    pub(crate) fn in_memory(&mut self) {
        self.in_memory = true;
    }
}

impl Harness {
    pub(crate) async fn start(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::new();
        change(&mut setup);
        let Setup { server, security, session, max_memory, in_memory, adjust } = setup;
        let mut registry = Registry::default();
        let sse_after = session.sse_after;
        let router = Router::new(InstanceId::random(), session, max_memory, &mut registry);
        let far = FarEnd::new(Arc::clone(&router));
        let backend = Arc::clone(&far.backend);
        let proxy = Proxy::new(router, backend);
        let metrics = HttpMetrics::register(&mut registry);
        let app = App::new(Arc::clone(&proxy), &server, &security)
            .unwrap()
            .sse_after(sse_after)
            .metrics(metrics, Arc::new(registry));
        let app = adjust(app);
        let shutdown = CancellationToken::new();
        let mut serving = JoinSet::new();
        let http = if in_memory {
            Http::Memory(app.router(IpAddr::from([127, 0, 0, 1])))
        } else {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let stop = shutdown.clone();
            serving.spawn(async move { serve(listener, app, stop).await.unwrap() });
            Http::Tcp(address)
        };
        let running = Arc::clone(&proxy);
        let stop = shutdown.clone();
        serving.spawn(async move { running.run(stop).await.unwrap() });
        Self { http, far, proxy, shutdown, serving }
    }

    /// Opens a session of this version, as a client that declares every capability.
    pub(crate) async fn open(&mut self, version: &str) -> Client {
        self.open_as(version, &[]).await
    }

    /// The same with more headers on every request.
    pub(crate) async fn open_as(&mut self, version: &str, headers: &[(&'static str, &str)]) -> Client {
        let capabilities = json!({"sampling": {}, "roots": {}, "elicitation": {"form": {}, "url": {}}});
        self.open_with(version, &capabilities, headers).await
    }

    pub(crate) async fn open_with(
        &mut self,
        version: &str,
        capabilities: &Value,
        headers: &[(&'static str, &str)],
    ) -> Client {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let body = initialize(version, capabilities);
        let reply = Background::run(post_with(self.http.clone(), headers.clone(), body));
        let request = self.far.expect("initialize").await;
        self.far.answer(&request, &initialized(version));
        let reply = reply.join().await;
        assert_eq!(reply.status, 200);
        let session = reply.header("mcp-session-id").unwrap().to_owned();
        drop(reply.text().await);
        let client = Client { http: self.http.clone(), session, route: request.remote.route, headers };
        let confirmed = client.post(&notification("notifications/initialized")).await;
        assert_eq!(confirmed.status, 202);
        self.far.expect("notifications/initialized").await;
        client
    }

    /// Calls a tool: the request as it reached the far end, and the reply that is to come.
    pub(crate) async fn call(&mut self, client: &Client, body: Value) -> (Outbound, Background<Reply>) {
        let method = body["method"].as_str().unwrap().to_owned();
        let client = client.clone();
        let reply = Background::run(async move { client.post(&body).await });
        (self.far.expect(&method).await, reply)
    }

    /// Calls a tool whose reply streams from the start.
    pub(crate) async fn call_streaming(&mut self, client: &Client, body: Value) -> (Outbound, Events) {
        let (outbound, reply) = self.call(client, body).await;
        (outbound, reply.join().await.events())
    }
}

impl Client {
    /// A request within the session.
    pub(crate) fn request(&self, method: Method) -> Builder {
        let request = request(method).header("mcp-session-id", &self.session);
        self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }

    pub(crate) async fn post(&self, body: &Value) -> Reply {
        let request = self.request(Method::POST).body(Body::from(body.to_string())).unwrap();
        self.http.send(request).await
    }

    /// Opens the standalone stream.
    pub(crate) async fn get(&self) -> Reply {
        self.http.send(self.request(Method::GET).body(Body::empty()).unwrap()).await
    }

    /// Resumes the stream that this event is of.
    pub(crate) async fn resume(&self, last_event: &str) -> Reply {
        let request = self.request(Method::GET).header("last-event-id", last_event);
        self.http.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn delete(&self) -> Reply {
        self.http.send(self.request(Method::DELETE).body(Body::empty()).unwrap()).await
    }
}

/// Posts outside of any session.
pub(crate) async fn post(http: &Http, body: &Value) -> Reply {
    post_with(http.clone(), Vec::new(), body.clone()).await
}

pub(crate) async fn post_with(http: Http, headers: Vec<(&'static str, String)>, body: Value) -> Reply {
    let request =
        headers.iter().fold(request(Method::POST), |request, (name, value)| request.header(*name, value));
    http.send(request.body(Body::from(body.to_string())).unwrap()).await
}

pub(crate) fn initialize(version: &str, capabilities: &Value) -> Value {
    let params = json!({
        "protocolVersion": version,
        "capabilities": capabilities,
        "clientInfo": {"name": "checklist", "version": "1"},
    });
    json!({"jsonrpc": "2.0", "id": "init", "method": "initialize", "params": params})
}

/// The result of `initialize`.
pub(crate) fn initialized(version: &str) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "far end", "version": "1"},
    })
}

pub(crate) fn notification(method: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": method})
}

/// A tool call with this id.
pub(crate) fn call(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": {"name": "echo", "arguments": {}}})
}

/// A tool call with this id that asks for progress under this token.
pub(crate) fn call_with_progress(id: impl Into<Value>, token: impl Into<Value>) -> Value {
    let mut call = call(id);
    call["params"]["_meta"] = json!({"progressToken": token.into()});
    call
}

pub(crate) fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}
