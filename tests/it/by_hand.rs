//! A server that does nothing by itself but shake hands: the test sees every other request, and answers it as it likes.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use e2e::{backend::Backend, http, kind::Kind};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

/// The running server, of the kind webhook or hybrid. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct ServerByHand {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    received: mpsc::Receiver<Received>,
    _tasks: JoinSet<()>,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Received {
    /// The session as this server knows it.
    pub(crate) session: String,
    /// Where its answer goes.
    pub(crate) callback_url: String,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// The request.
    pub(crate) message: Value,
}

#[derive(Debug)]
struct Shared {
    kind: Kind,
    http: reqwest::Client,
    sessions: AtomicUsize,
    callback_urls: Mutex<BTreeMap<String, String>>,
    received: mpsc::Sender<Received>,
}

impl ServerByHand {
    pub(crate) async fn start(kind: Kind) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, received) = mpsc::channel(64);
        let shared = Arc::new(Shared {
            kind,
            http: http::client(),
            sessions: AtomicUsize::new(0),
            callback_urls: Mutex::default(),
            received: sender,
        });
        let methods = post(take).delete(|| async { json_response(&json!({"status": "terminated"})) });
        let router = Router::new().route("/mcp", methods).with_state(Arc::clone(&shared));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, shared, received, _tasks: tasks })
    }

    /// What a proxy has to know.
    pub(crate) fn backend(&self) -> Backend {
        let server_url = format!("http://{}/mcp", self.address);
        match self.shared.kind {
            Kind::Webhook => Backend::Webhook { server_url },
            _ => Backend::StreamableHttpWebhook { server_url, has_callback: true },
        }
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Result<Received> {
        self.received.recv().await.context("the server is gone")
    }

    /// POSTs something as an answer, for the session with this id.
    pub(crate) async fn call_back(&self, url: &str, session: &str, body: &str) -> Result<StatusCode> {
        Ok(self.shared.call_back(url, session, body).await?)
    }
}

/// The answer to a request, with this text.
pub(crate) fn answer(request: &Value, text: &str) -> String {
    json!({"jsonrpc": "2.0", "id": request["id"], "result": {"content": [{"type": "text", "text": text}]}})
        .to_string()
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let is_webhook = shared.kind == Kind::Webhook;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if message["method"] == "initialize" {
        let callback_url = message["params"]["_meta"]["webhookUrl"].as_str().unwrap_or_default().to_owned();
        let number = shared.sessions.fetch_add(1, Ordering::Relaxed);
        // A webhook server takes the id that is proposed; a hybrid makes its own.
        let session = if is_webhook { text("x-session-id") } else { Some(format!("session-{number}")) };
        let session = session.unwrap_or_default();
        shared.remember(&session, &callback_url);
        let result = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "by-hand", "version": "1"}});
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        if !is_webhook {
            return ([("mcp-session-id", session)], json_response(&answer)).into_response();
        }
        // Even before the receipt, as it may happen.
        drop(shared.call_back(&callback_url, &session, &answer.to_string()).await);
        return json_response(&json!({"status": "session_created", "session_id": session}));
    }
    let session = text(if is_webhook { "x-session-id" } else { "mcp-session-id" }).unwrap_or_default();
    if message.get("id").is_none() || message.get("method").is_none() {
        return if is_webhook {
            json_response(&json!({"status": "received"}))
        } else {
            StatusCode::ACCEPTED.into_response()
        };
    }
    let callback_url = shared.callback_url(&session);
    drop(shared.received.send(Received { session, callback_url, headers, message }).await);
    if is_webhook {
        return json_response(&json!({"status": "received"}));
    }
    // A stream that stays silent, since the answer goes another way.
    let silence = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    ([(header::CONTENT_TYPE, "text/event-stream")], silence).into_response()
}

fn json_response(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

impl Shared {
    fn remember(&self, session: &str, callback_url: &str) {
        let mut urls = self.callback_urls.lock().unwrap_or_else(PoisonError::into_inner);
        urls.insert(session.to_owned(), callback_url.to_owned());
    }

    fn callback_url(&self, session: &str) -> String {
        let urls = self.callback_urls.lock().unwrap_or_else(PoisonError::into_inner);
        urls.get(session).cloned().unwrap_or_default()
    }

    async fn call_back(&self, url: &str, session: &str, body: &str) -> reqwest::Result<StatusCode> {
        let header = if self.kind == Kind::Webhook { "x-session-id" } else { "mcp-session-id" };
        let request = self.http.post(url).header("content-type", "application/json").header(header, session);
        Ok(request.body(body.to_owned()).send().await?.status())
    }
}
