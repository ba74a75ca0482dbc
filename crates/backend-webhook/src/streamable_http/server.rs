//! The server as this backend sees it: what every exchange and stream with it shares.

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use proxy_core::{BackendMetrics, error::BackendError, id::RemoteSession, message::Body};
use tokio::time::{Instant, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::{Outgoing, ResponseBody},
    delivery::{Answer, Delivery, Origin},
    events::{Events, ReadError},
    pool::Pool,
    requests::{MCP_SESSION_ID, Requests},
    streams::Streams,
};

/// How much of a refusal is read, and for how long.
const REFUSAL_BYTES: usize = 64 * 1024;
const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// How long a response that has nothing more to say may take to end, so that its connection can be used again.
const ENDING_TIME: Duration = Duration::from_secs(1);

/// The bounds of what a server may ask for with `retry`.
const SHORTEST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// What everything that talks to the server shares.
pub(super) struct Server {
    pub(super) pool: Arc<Pool>,
    pub(super) requests: Requests,
    pub(super) streams: Arc<Streams>,
    pub(super) delivery: Delivery,
    pub(super) metrics: BackendMetrics,
    /// The largest message, either way.
    pub(super) max_message: usize,
    /// The longest that a request may take.
    pub(super) longest: Duration,
    /// Whether the server is given a callback URL.
    pub(super) offers_callback: bool,
    /// Everything that reads on after `send` has returned.
    pub(super) readers: TaskTracker,
    /// Fires when nothing more is to be read.
    pub(super) stop: CancellationToken,
}

/// Where a stream stands.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// The last event id, which a stream can be continued after.
    pub(super) last_event_id: Option<Box<str>>,
    /// How long the server wants a client to wait before it connects again.
    pub(super) retry: Option<Duration>,
}

/// How the reading of a stream ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The answer came.
    Answered,
    /// Nobody waits any more.
    Over,
    /// The server closed the stream, or it broke.
    Broken(Option<ReadError>),
}

impl Server {
    /// Reads events and delivers their messages until the answer came, the stream ends, or `over` fires.
    pub(super) async fn read_events(
        &self,
        events: &mut Events,
        origin: &Origin,
        position: &mut Position,
        over: &CancellationToken,
    ) -> Ended {
        loop {
            let next = tokio::select! {
                biased;
                () = over.cancelled() => return Ended::Over,
                () = self.stop.cancelled() => return Ended::Over,
                next = events.next() => next,
            };
            let event = match next {
                None => return Ended::Broken(None),
                Some(Err(error)) => return Ended::Broken(Some(error)),
                Some(Ok(event)) => event,
            };
            if let Some(response) = &origin.response {
                response.hear();
            }
            if let Some(retry) = event.retry {
                let asked = Duration::from_millis(retry);
                position.retry = Some(asked.clamp(SHORTEST_RETRY, LONGEST_RETRY));
            }
            let is_message = event.event.as_deref().is_none_or(|name| matches!(name, "" | "message"));
            let data = event.data.filter(|data| is_message && !data.is_empty());
            let answered = match data {
                Some(data) => self.take(&data, origin, over).await,
                None => false,
            };
            // only now: what was not handed over must come again
            match event.id {
                Some(id) if id.is_empty() => position.last_event_id = None,
                Some(id) => position.last_event_id = Some(id.into()),
                None => {}
            }
            if answered {
                return Ended::Answered;
            }
        }
    }

    /// Hands over what the server sent in one go: a message, or several in an array, as a server of revision 2025-03-26 may send
    /// them (basic/transports, sending messages to the server). Whether it ends the wait for the answer.
    pub(super) async fn take(&self, text: &str, origin: &Origin, over: &CancellationToken) -> bool {
        if !text.trim_ascii_start().starts_with('[') {
            return self.take_message(text, origin, over).await;
        }
        let mut answered = false;
        match Body::parse(text.as_bytes().to_vec()) {
            Ok(Body::Batch(messages)) => {
                for message in messages {
                    answered |= self.take_message(message.as_str(), origin, over).await;
                }
            }
            Ok(Body::Single(_)) => {}
            Err(error) => {
                self.metrics.malformed();
                tracing::debug!(%error, route = ?origin.route, "the server sent what is no message");
            }
        }
        answered
    }

    async fn take_message(&self, text: &str, origin: &Origin, over: &CancellationToken) -> bool {
        match self.delivery.deliver(origin, text, over).await {
            Ok(Some(Answer::Awaited)) => true,
            Ok(Some(Answer::Other | Answer::Nameless) | None) => false,
            Err(error) => {
                tracing::debug!(%error, route = ?origin.route, "the server sent what is no message");
                false
            }
        }
    }

    /// Reads a body to its end.
    pub(super) async fn read_whole(&self, body: ResponseBody) -> Result<Bytes, ReadError> {
        read_up_to(body, self.max_message, true).await
    }

    /// Reads what a refusal says, as far as it matters.
    pub(super) async fn read_refusal(&self, body: ResponseBody) -> Bytes {
        let read = timeout(REFUSAL_TIME, read_up_to(body, REFUSAL_BYTES, false)).await;
        read.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Whether the answer to a request whose response is lost may still come by callback.
    pub(super) fn may_be_called_back(&self) -> bool {
        self.offers_callback && self.streams.called_back()
    }

    /// Sends a request, and waits for its head, at most until `deadline`.
    pub(super) async fn send(
        &self,
        action: &'static str,
        request: Outgoing,
        deadline: Instant,
    ) -> Result<Response<ResponseBody>, BackendError> {
        let response = self.pool.send(request, deadline).await;
        self.metrics.called(action, response.as_ref().map(|_| ()));
        response
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// Lets a response end that has nothing more to say. One that does not end is dropped, and its connection with it.
pub(super) async fn finish(mut events: Events) {
    let rest = async { while let Some(Ok(_)) = events.next().await {} };
    if timeout(ENDING_TIME, rest).await.is_err() {
        tracing::debug!("a response did not end after its answer");
    }
}

/// Whether the body is of this media type, parameters aside.
pub(super) fn is_media(headers: &HeaderMap, media: &str) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    value.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(media))
}

/// The server's session id, if the head names one.
pub(super) fn session_of(headers: &HeaderMap) -> Option<RemoteSession> {
    let value = headers.get(MCP_SESSION_ID)?.to_str().ok()?;
    RemoteSession::parse(value).ok()
}

async fn read_up_to(mut body: ResponseBody, limit: usize, whole: bool) -> Result<Bytes, ReadError> {
    let mut first = Bytes::new();
    let mut all: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let length = all.as_ref().map_or(first.len(), BytesMut::len) + data.len();
        if length > limit && whole {
            return Err(ReadError::TooLarge { limit });
        }
        if first.is_empty() && all.is_none() {
            first = data;
        } else {
            all.get_or_insert_with(|| BytesMut::from(&first[..])).extend_from_slice(&data);
        }
        if length > limit {
            break;
        }
    }
    Ok(all.map_or(first, BytesMut::freeze))
}
