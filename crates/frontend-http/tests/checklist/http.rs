//! An HTTP client that hides nothing: every header is the test's, one connection a request, cut when its reply is dropped.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::{Body, BodyDataStream, Bytes},
    http::{HeaderMap, Method, Request, Response, StatusCode},
};
use futures_util::StreamExt as _;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
};

/// How a test reaches the front end.
#[derive(Clone)]
pub(crate) enum Http {
    /// Over TCP, through `serve`.
    Tcp(SocketAddr),
    /// Over a pipe in memory, for tests that pause the clock: a paused clock runs ahead whenever only sockets are waited for.
    Memory(Router),
}

/// A response whose body is still coming.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Body,
    connection: JoinSet<()>,
}

/// The server-sent events of a response, block by block.
pub(crate) struct Events {
    body: BodyDataStream,
    text: String,
    _connection: JoinSet<()>,
}

/// One block of an event stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) retry: Option<u64>,
}

impl Http {
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        match self {
            Self::Tcp(address) => {
                exchange(TcpStream::connect(address).await.unwrap(), request, JoinSet::new()).await
            }
            Self::Memory(router) => {
                let (near, far) = tokio::io::duplex(1 << 20);
                let service = TowerToHyperService::new(router.clone());
                let mut tasks = JoinSet::new();
                tasks.spawn(async move {
                    let served = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(far), service)
                        .await;
                    drop(served);
                });
                exchange(near, request, tasks).await
            }
        }
    }
}

async fn exchange<Io>(io: Io, request: Request<Body>, mut tasks: JoinSet<()>) -> Reply
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
    tasks.spawn(async move { drop(connection.await) });
    let response: Response<hyper::body::Incoming> = sender.send_request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Reply { status: parts.status, headers: parts.headers, body: Body::new(body), connection: tasks }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) async fn text(self) -> String {
        let bytes: Bytes = axum::body::to_bytes(self.body, usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    pub(crate) async fn json(self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// Checks that it is an error of this status and JSON-RPC code, and returns its body.
    pub(crate) async fn refused(self, status: u16, code: i64) -> Value {
        let got = self.status;
        let body = self.json().await;
        assert_eq!((got.as_u16(), body["error"]["code"].as_i64()), (status, Some(code)), "{body}");
        assert_eq!(body["jsonrpc"], "2.0");
        body
    }

    pub(crate) fn events(self) -> Events {
        assert_eq!(self.status, 200);
        assert_eq!(self.header("content-type"), Some("text/event-stream"));
        Events { body: self.body.into_data_stream(), text: String::new(), _connection: self.connection }
    }
}

impl Events {
    /// The next block; `None` when the server ended the stream.
    pub(crate) async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                return Some(Block::parse(&block[..end]));
            }
            let chunk = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next block that is not only a comment.
    pub(crate) async fn event(&mut self) -> Option<Block> {
        loop {
            let block = self.block().await?;
            if !block.is_comment() {
                return Some(block);
            }
        }
    }

    /// The next message and its event's id.
    pub(crate) async fn message(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.event().await?;
            let data = block.data.unwrap();
            if !data.is_empty() {
                assert_eq!(block.event.as_deref(), Some("message"));
                return Some((block.id.unwrap(), serde_json::from_str(&data).unwrap()));
            }
        }
    }
}

impl Block {
    fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => {}
                "id" => block.id = Some(value.to_owned()),
                "event" => block.event = Some(value.to_owned()),
                "retry" => block.retry = Some(value.parse().unwrap()),
                "data" => assert_eq!(block.data.replace(value.to_owned()), None, "data is one line"),
                _ => panic!("no field of an event stream: {line:?}"),
            }
        }
        block
    }

    pub(crate) fn is_comment(&self) -> bool {
        *self == Self::default()
    }
}

/// A request with the headers that every well-behaved client sends.
pub(crate) fn request(method: Method) -> axum::http::request::Builder {
    let request = Request::builder().uri("/mcp").header("host", "localhost");
    let accept =
        if method == Method::GET { "text/event-stream" } else { "application/json, text/event-stream" };
    let request =
        if method == Method::POST { request.header("content-type", "application/json") } else { request };
    request.header("accept", accept).method(method)
}

/// Runs a future in the background until it is joined.
pub(crate) struct Background<T>(JoinSet<T>);

impl<T: Send + 'static> Background<T> {
    pub(crate) fn run(future: impl Future<Output = T> + Send + 'static) -> Self {
        let mut set = JoinSet::new();
        set.spawn(future);
        Self(set)
    }

    pub(crate) async fn join(mut self) -> T {
        within(self.0.join_next()).await.unwrap().unwrap()
    }
}

/// Fails a test that waits in vain.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it happens within 20 s")
}
