//! A server that leaves each request to the test.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, Response, response::Builder},
    serve::ListenerExt as _,
};
use futures_util::stream;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::harness::{SESSION, in_time};

/// A request that the server got.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    answer: oneshot::Sender<Response<Body>>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Answers with this status, content type and body.
    pub(crate) fn answer(self, status: u16, media: &str, body: &str) {
        self.respond(head(status, media).body(Body::from(body.to_owned())).unwrap());
    }

    pub(crate) fn json(self, body: &str) {
        self.answer(200, "application/json", body);
    }

    pub(crate) fn status(self, status: u16) {
        self.respond(Response::builder().status(status).body(Body::empty()).unwrap());
    }

    /// Answers with an event stream that the test writes.
    pub(crate) fn stream(self) -> EventStream {
        let (chunks, receiver) = mpsc::channel(64);
        let body = stream::unfold(receiver, |mut receiver: mpsc::Receiver<io::Result<Bytes>>| async move {
            Some((receiver.recv().await?, receiver))
        });
        self.respond(head(200, "text/event-stream").body(Body::from_stream(body)).unwrap());
        EventStream { chunks }
    }

    pub(crate) fn respond(self, response: Response<Body>) {
        self.answer.send(response).expect("the backend waits for the response");
    }
}

/// The head of a response in the server's session.
pub(crate) fn head(status: u16, media: &str) -> Builder {
    Response::builder().status(status).header("content-type", media).header("mcp-session-id", SESSION)
}

/// An event stream that the server writes. Dropping it ends it well.
pub(crate) struct EventStream {
    chunks: mpsc::Sender<io::Result<Bytes>>,
}

impl EventStream {
    pub(crate) async fn raw(&self, bytes: impl Into<Bytes>) {
        in_time(self.chunks.send(Ok(bytes.into()))).await.unwrap();
    }

    pub(crate) async fn message(&self, text: &str) {
        self.raw(format!("event: message\ndata: {text}\n\n")).await;
    }

    pub(crate) async fn numbered(&self, id: &str, text: &str) {
        self.raw(format!("id: {id}\nevent: message\ndata: {text}\n\n")).await;
    }

    /// Breaks the connection off.
    pub(crate) async fn breaks(self) {
        in_time(self.chunks.send(Err(io::Error::other("broken")))).await.unwrap();
    }

    /// Waits until the backend has closed the response.
    pub(crate) async fn closed(&self) {
        in_time(self.chunks.closed()).await;
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
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
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

    /// The next request.
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
