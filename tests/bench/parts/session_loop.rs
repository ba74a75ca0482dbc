//! A load of one session with any number of calls in flight, by an HTTP client that minds neither status nor headers, so that proxies that
//! have one session at a time can be driven as well.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};
use testkit::load::Latencies;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    asked::Asked,
    generator::Calls,
    in_flight::Request,
    message::Message,
    posts::{Posts, SESSION},
    requests::{INITIALIZED, Kind, initialize, text_of},
};
use crate::part::say;

const MCP_SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const MCP_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const VERSION: HeaderValue = HeaderValue::from_static("2025-11-25");

/// How long an answer may take before it counts as one that never comes: a hundred times what the slowest take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of a load.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) calls: Calls,
    /// How many calls were never answered.
    pub(crate) lost: u64,
}

struct SessionLoop {
    posts: Posts,
    url: String,
    headers: HeaderMap,
    sent: AtomicU64,
}

/// Opens the session. Asked [`Request`]s, it answers with [`Answered`].
pub(super) async fn run(url: &str) -> Result<()> {
    let session = Arc::new(SessionLoop::open(url).await?);
    say(&())?;
    let mut asked = Asked::listen();
    while let Some(request) = asked.next().await? {
        say(&Arc::clone(&session).measure(request).await?)?;
    }
    Ok(())
}

impl SessionLoop {
    async fn open(url: &str) -> Result<Self> {
        let (posts, headers) = (Posts::new(), HeaderMap::from_iter([(header::ACCEPT, ACCEPTED)]));
        let mut session = Self { posts, url: url.to_owned(), headers, sent: AtomicU64::new(1) };
        let answer =
            session.posts.post(url, session.headers.clone(), initialize("0", r#""_meta":{}"#)).await?;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        ensure!(text.contains(r#""protocolVersion""#), "initialize was answered with {text}");
        // asyncmcp's proxy names the session in a header of its own, and only in the answer to the first initialize
        for name in [MCP_SESSION, SESSION] {
            if let Some(id) = answer.headers().get(&name) {
                session.headers.insert(name, id.clone());
            }
        }
        session.headers.insert(MCP_VERSION, VERSION);
        session.posts.post(url, session.headers.clone(), INITIALIZED.to_owned()).await?;
        Ok(session)
    }

    async fn measure(self: Arc<Self>, request: Request) -> Result<Answered> {
        let Request { in_flight, kind, warm_up, duration } = request;
        let start = Instant::now() + warm_up;
        let end = start + duration;
        let mut calling = JoinSet::new();
        for _ in 0..in_flight {
            calling.spawn(Arc::clone(&self).call_until(kind, start, end));
        }
        let (mut made, mut latencies, mut lost) = (0, Latencies::default(), 0);
        while let Some(ended) = calling.join_next().await {
            let (of_one, latencies_of_one, is_lost) = ended??;
            made += of_one;
            latencies.merge(latencies_of_one);
            lost += u64::from(is_lost);
        }
        Ok(Answered { calls: Calls::of(made, latencies, duration), lost })
    }

    /// Returns how many calls it made, the latencies of those between start and end, and whether it ended with one that was never
    /// answered.
    async fn call_until(
        self: Arc<Self>,
        kind: Kind,
        start: Instant,
        end: Instant,
    ) -> Result<(u64, Latencies, bool)> {
        let (mut made, mut latencies) = (0, Latencies::default());
        while Instant::now() < end {
            made += 1;
            let begin = Instant::now();
            let Ok(answered) = timeout(PATIENCE, self.call(kind)).await else {
                return Ok((made, latencies, true));
            };
            answered?;
            if (start..end).contains(&Instant::now()) {
                latencies.record(begin.elapsed());
            }
        }
        Ok((made, latencies, false))
    }

    /// Calls `echo`, and looks whether id and text come back.
    async fn call(&self, kind: Kind) -> Result<()> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let id = number.to_string();
        let answer = self.posts.post(&self.url, self.headers.clone(), kind.request(&id, number)).await?;
        let answer = String::from_utf8_lossy(answer.body());
        // as JSON, or as the last of some events
        let lines = || answer.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
        let message = lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
        let is_answer = Message::parse(message.as_bytes())?.id() == Some(&id);
        ensure!(is_answer && message.contains(&text_of(number)), "a wrong answer to {id}: {answer}");
        Ok(())
    }
}
