//! Server-sent events: how a stream of messages is written into a response body (HTML standard, section 9.2; 2025-11-25,
//! basic/transports).

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Response, header},
};
use futures_util::Stream;
use proxy_core::{EventStream, StreamEvent};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::metrics::OpenStream;

/// How often a comment is written, so that nothing on the way takes the connection for dead.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a client is told to wait before it comes back to a stream that ended without its answer, in milliseconds: long enough
/// for a restart, short enough for a person who waits.
const RETRY: &str = "retry: 3000\n";

/// A comment, which clients pass over.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// What a stream begins with, after the comment that every stream begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Nothing: clients before 2025-11-25 would take an event without data for a broken one.
    Plain,
    /// The delay before a reconnect, and an event without data whose id a client can resume from (2025-11-25).
    Primed,
    /// Nothing, and no event has an id: nothing of it can be resumed.
    Anonymous,
}

/// The response that carries `events`.
pub(crate) fn response(events: EventStream, opening: Opening, open: OpenStream) -> Response<Body> {
    let head = head(opening, || events.position());
    let has_ids = opening != Opening::Anonymous;
    let body = SseBody { head: Some(head), has_ids, events, keep_alive: keep_alive(), _open: open };
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.reserve(3);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A body of server-sent events that ends when its events do.
#[derive(Debug)]
struct SseBody<Events> {
    head: Option<Bytes>,
    has_ids: bool,
    events: Events,
    keep_alive: Interval,
    _open: OpenStream,
}

impl<Events: Stream<Item = StreamEvent> + Unpin> Stream for SseBody<Events> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(head)));
        }
        match Pin::new(&mut self.events).poll_next(context) {
            Poll::Ready(Some(event)) => {
                Poll::Ready(Some(Ok(message(self.has_ids.then_some(event.id.as_str()), &event.text))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.keep_alive.poll_tick(context).map(|_| Some(Ok(COMMENT))),
        }
    }
}

fn keep_alive() -> Interval {
    let mut interval = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The first bytes of a stream.
fn head(opening: Opening, position: impl FnOnce() -> String) -> Bytes {
    match opening {
        Opening::Plain | Opening::Anonymous => COMMENT,
        Opening::Primed => Bytes::from(format!(":\n\nid: {}\n{RETRY}data: \n\n", position())),
    }
}

/// One message as one event, in one allocation.
fn message(id: Option<&str>, text: &str) -> Bytes {
    const EVENT: &[u8] = b"event: message";
    const BEFORE_ID: &[u8] = b"\nid: ";
    const BEFORE_DATA: &[u8] = b"\ndata: ";
    const END: &[u8] = b"\n\n";
    let id_length = id.map_or(0, |id| BEFORE_ID.len() + id.len());
    let length = EVENT.len() + id_length + BEFORE_DATA.len() + text.len() + END.len();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(EVENT);
    if let Some(id) = id {
        bytes.extend_from_slice(BEFORE_ID);
        bytes.extend_from_slice(id.as_bytes());
    }
    bytes.extend_from_slice(BEFORE_DATA);
    let start = bytes.len();
    bytes.extend_from_slice(text.as_bytes());
    // A line end would end the field. In JSON one can only stand between tokens, where a space means the same.
    for byte in &mut bytes[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    bytes.extend_from_slice(END);
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests;
