//! What the client sides of both intakes have in common for the contract suite.

use std::collections::VecDeque;

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use proxy_core::ReplyAddress;
use reqwest::RequestBuilder;
use testkit::intake_contract::{Envelope, Place, Received, Told};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// Webhooks of clients, which take whatever comes.
pub(crate) struct Webhooks {
    received: mpsc::Receiver<Received>,
    urls: Vec<(Place, ReplyAddress)>,
}

impl Webhooks {
    /// The webhooks, where else what came may be put, and the tasks that serve them.
    pub(crate) async fn start(session_header: &'static str) -> (Self, mpsc::Sender<Received>, JoinSet<()>) {
        let (receive, received) = mpsc::channel(1024);
        let (mut urls, mut serving) = (Vec::new(), JoinSet::new());
        for place in [Place::First, Place::Second, Place::Vanished] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = ReplyAddress::Url(format!("http://{}/webhook", listener.local_addr().unwrap()).into());
            urls.push((place, url.clone()));
            if place != Place::Vanished {
                let state = (receive.clone(), url, session_header);
                let router = Router::new().fallback(take).with_state(state);
                serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
            }
        }
        (Self { received, urls }, receive, serving)
    }

    pub(crate) fn address(&self, place: Place) -> ReplyAddress {
        self.urls.iter().find(|(at, _)| *at == place).unwrap().1.clone()
    }

    pub(crate) async fn receive(&mut self) -> Received {
        self.received.recv().await.unwrap()
    }
}

async fn take(
    State((received, url, session_header)): State<(mpsc::Sender<Received>, ReplyAddress, &'static str)>,
    request: Request,
) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    let (session, context) =
        (header(&parts.headers, session_header), header(&parts.headers, "x-proxy-context"));
    received.send(Received { place: Some(url), session, context, body }).await.unwrap();
    StatusCode::OK
}

pub(crate) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}

/// Sends one request after the other, each once the one before has its response or need not have it.
pub(crate) struct Sender {
    requests: mpsc::Sender<(RequestBuilder, bool, oneshot::Sender<Told>)>,
    told: VecDeque<oneshot::Receiver<Told>>,
    _sending: JoinSet<()>,
}

impl Sender {
    /// Each response is read by `read`, which says what it tells.
    pub(crate) fn start<Reading>(
        read: impl Fn(RequestBuilder, oneshot::Sender<Told>) -> Reading + Send + 'static,
    ) -> Self
    where
        Reading: Future<Output = ()> + Send + 'static,
    {
        let (requests, mut to_send) = mpsc::channel::<(RequestBuilder, bool, oneshot::Sender<Told>)>(1024);
        let mut sending = JoinSet::new();
        sending.spawn(async move {
            let mut reading = JoinSet::new();
            while let Some((request, waits, told)) = to_send.recv().await {
                let (tell, heard) = oneshot::channel();
                reading.spawn(read(request, tell));
                let passing_on = async move {
                    if let Ok(heard) = heard.await {
                        drop(told.send(heard));
                    }
                };
                if waits {
                    passing_on.await;
                } else {
                    reading.spawn(passing_on);
                }
            }
        });
        Self { requests, told: VecDeque::new(), _sending: sending }
    }

    pub(crate) async fn send(&mut self, request: RequestBuilder, waits: bool) {
        let (tell, told) = oneshot::channel();
        self.told.push_back(told);
        self.requests.send((request, waits, tell)).await.unwrap();
    }

    pub(crate) async fn told(&mut self) -> Told {
        self.told.pop_front().unwrap().await.unwrap()
    }
}

/// The body of an envelope, its webhook named where it is an `initialize`.
pub(crate) fn body(envelope: &Envelope) -> String {
    let Some(ReplyAddress::Url(url)) = &envelope.reply else { return envelope.body.clone() };
    let mut body: serde_json::Value = serde_json::from_str(&envelope.body).unwrap();
    body["params"]["_meta"]["webhookUrl"] = url.as_ref().into();
    body.to_string()
}
