//! A client's webhook, which leaves each callback to the test.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Response},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::desk::in_time;

/// A callback that came.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    answer: oneshot::Sender<Response<Body>>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn answer(self, status: u16) {
        self.answer_with(status, &[]);
    }

    pub(crate) fn answer_with(self, status: u16, headers: &[(&str, &str)]) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        self.answer.send(response.body(Body::empty()).unwrap()).expect("the intake waits");
    }
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    got: mpsc::Receiver<Got>,
    _serving: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let (callbacks, got) = mpsc::channel(64);
        let router = Router::new().fallback(ask_the_test).with_state(callbacks);
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, got, _serving: serving }
    }

    pub(crate) async fn got(&mut self) -> Got {
        in_time(self.got.recv()).await.unwrap()
    }

    pub(crate) fn has_more(&mut self) -> bool {
        self.got.try_recv().is_ok()
    }
}

async fn ask_the_test(State(callbacks): State<mpsc::Sender<Got>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    let (answer, answered) = oneshot::channel();
    callbacks.try_send(Got { headers: parts.headers, body, answer }).unwrap();
    // without an answer the connection stays silent
    match answered.await {
        Ok(response) => response,
        Err(_) => std::future::pending().await,
    }
}
