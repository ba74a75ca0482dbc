//! What two HTTP requests a call cost at least: the same messages by webhook, with neither proxy nor HTTP clients.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    routing::post,
};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    asked::Asked,
    in_flight::{Done, Request},
    listening::Listening,
    message::Message,
    posts::{Posts, SESSION},
    requests::{INITIALIZED, Kind, SESSION_COUNT, initialize, session},
};
use crate::part::say;

/// As long as the path of a callback with its secret.
const PATH: &str =
    "/callback/bareloopbareloopbarelo.bareloopbareloopbarelo/bareloopbareloopbareloopbareloopbareloopba";

/// How long an answer may take before the whole run fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Those that wait for an answer, by its id.
type Waiting = Mutex<HashMap<String, oneshot::Sender<()>>>;

struct WebhookLoop {
    posts: Posts,
    server_url: String,
    waiting: Arc<Waiting>,
    /// The number of the next request: an id that comes twice would be the same call.
    sent: AtomicU64,
}

pub(super) async fn run(server_url: &str) -> Result<()> {
    let listening = Listening::bind().await?;
    let reply_url = format!("http://{}{PATH}", listening.address()?);
    let waiting = Arc::new(Waiting::default());
    let router = Router::new().route(PATH, post(take)).with_state(Arc::clone(&waiting));
    let mut serving = JoinSet::new();
    serving.spawn(listening.serve(router));
    let (posts, sent) = (Posts::new(), AtomicU64::new(1));
    let bare = Arc::new(WebhookLoop { posts, server_url: server_url.to_owned(), waiting, sent });
    for number in 0..SESSION_COUNT {
        bare.open(&session(number), &reply_url).await?;
    }
    say(&())?;
    let mut asked = Asked::listen();
    while let Some(request) = asked.next().await? {
        say(&Arc::clone(&bare).measure(request).await?)?;
    }
    Ok(())
}

/// Takes an answer.
async fn take(State(waiting): State<Arc<Waiting>>, body: Bytes) -> StatusCode {
    let id = Message::parse(&body).ok().and_then(|message| message.id().map(str::to_owned));
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    match id.and_then(|id| waiting.remove(&id)).map(|answered| answered.send(())) {
        Some(Ok(())) => StatusCode::ACCEPTED,
        Some(Err(())) | None => StatusCode::NOT_FOUND,
    }
}

impl WebhookLoop {
    async fn measure(self: Arc<Self>, request: Request) -> Result<Done> {
        let Request { in_flight, kind, warm_up, duration } = request;
        let start = Instant::now() + warm_up;
        let end = start + duration;
        let mut calling = JoinSet::new();
        for caller in 0..in_flight {
            calling.spawn(Arc::clone(&self).call_until(session(caller), kind, start, end));
        }
        let (mut made, mut counted) = (0, 0_u32);
        while let Some(ended) = calling.join_next().await {
            let (of_one, counted_of_one) = ended??;
            made += of_one;
            counted += counted_of_one;
        }
        Ok(Done { made, per_second: f64::from(counted) / duration.as_secs_f64() })
    }

    /// Calls until `end`. Returns how many answers came in all, and how many from `start` on.
    async fn call_until(
        self: Arc<Self>,
        session: String,
        kind: Kind,
        start: Instant,
        end: Instant,
    ) -> Result<(u64, u32)> {
        let (mut made, mut counted) = (0_u64, 0);
        while Instant::now() < end {
            made += 1;
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            let id = format!("{session}:{number}");
            let body = kind.request(&id, number);
            self.call(&session, id, kind.method(), body).await?;
            if (start..end).contains(&Instant::now()) {
                counted += 1;
            }
        }
        Ok((made, counted))
    }

    /// The handshake of a session.
    async fn open(&self, session: &str, reply_url: &str) -> Result<()> {
        let id = format!("{session}:0");
        let body = initialize(&id, &format!(r#""_meta":{{"webhookUrl":"{reply_url}"}}"#));
        self.call(session, id, "initialize", body).await?;
        let method = "notifications/initialized";
        let headers = headers(session, None, method)?;
        self.posts.post(&self.server_url, headers, INITIALIZED.to_owned()).await?;
        Ok(())
    }

    /// Posts a request, reads the receipt, and waits for the answer.
    async fn call(&self, session: &str, id: String, method: &'static str, body: String) -> Result<()> {
        let (answered, answer) = oneshot::channel();
        let headers = headers(session, Some(&id), method)?;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, answered);
        self.posts.post(&self.server_url, headers, body).await?;
        timeout(PATIENCE, answer).await.context("no answer came")?.context("an answer was dropped")
    }
}

/// The headers that the proxy puts on a message; only a request has an id.
fn headers(session: &str, id: Option<&str>, method: &'static str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(SESSION, HeaderValue::from_str(session)?);
    headers.insert("x-client-id", HeaderValue::from_str(session)?);
    if let Some(id) = id {
        headers.insert("x-request-id", HeaderValue::from_str(id)?);
    }
    headers.insert("x-method", HeaderValue::from_static(method));
    headers.insert("x-protocol-version", HeaderValue::from_static("2025-11-25"));
    Ok(headers)
}
