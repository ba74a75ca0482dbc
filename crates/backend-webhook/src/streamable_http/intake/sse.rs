//! Server-sent events: how messages are written into a response (HTML standard, section 9.2; 2025-11-25, basic/transports).

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
};
use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep};

use super::streams::Reader;

/// A comment, which clients pass over.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// The response that carries what comes to this reader, for at most so long.
pub(super) fn response(reader: Reader, keep_alive: Duration, longest: Duration) -> Response<Body> {
    let mut interval = interval_at(Instant::now() + keep_alive, keep_alive);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = Events { reader, keep_alive: interval, end: Box::pin(sleep(longest)) };
    with_head(Body::from_stream(events))
}

/// The response that carries these messages and ends.
pub(super) fn whole<'text>(messages: impl Iterator<Item = &'text str>) -> Response<Body> {
    with_head(Body::from(messages.map(event).collect::<Vec<_>>().concat()))
}

fn with_head(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A body of events that ends when its reader's stream does.
struct Events {
    reader: Reader,
    keep_alive: Interval,
    end: Pin<Box<Sleep>>,
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(next) = self.reader.poll_next(context) {
            return Poll::Ready(next.map(|message| Ok(event(&message.text))));
        }
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        ready!(self.keep_alive.poll_tick(context));
        Poll::Ready(Some(Ok(COMMENT)))
    }
}

/// One message as one event.
fn event(text: &str) -> Bytes {
    const BEFORE: &[u8] = b"event: message\ndata: ";
    const AFTER: &[u8] = b"\n\n";
    let mut bytes = Vec::with_capacity(BEFORE.len() + text.len() + AFTER.len());
    bytes.extend_from_slice(BEFORE);
    // A line end would end the field. In JSON one can only stand between tokens, where a space means the same.
    bytes.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    bytes.extend_from_slice(AFTER);
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_event_whatever_its_line_ends() {
        assert_eq!(event("{\r\n\"a\":\n1}"), "event: message\ndata: {  \"a\": 1}\n\n");
    }
}
