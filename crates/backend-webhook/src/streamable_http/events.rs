//! A stream of server-sent events, none of which is larger than a message may be.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body::{Body, Frame};
use sse_stream::{Sse, SseStream};

use super::connection::ResponseBody;

/// Why a body cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// One message is larger than `max_message`.
    #[error("a message is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
    /// What came is no event stream: a field is not UTF-8.
    #[error("the body is no event stream")]
    Malformed(#[source] sse_stream::Error),
}

/// The events of one response.
pub(super) struct Events {
    stream: SseStream<Bounded<ResponseBody>>,
    unparsed: Arc<AtomicUsize>,
}

impl Events {
    pub(super) fn new(body: ResponseBody, limit: usize) -> Self {
        let unparsed = Arc::new(AtomicUsize::new(0));
        Self { stream: SseStream::new(Bounded { body, limit, unparsed: Arc::clone(&unparsed) }), unparsed }
    }

    /// The next event; `None` once the response has ended.
    pub(super) async fn next(&mut self) -> Option<Result<Sse, ReadError>> {
        let next = self.stream.next().await?;
        self.unparsed.store(0, Ordering::Relaxed);
        Some(next.map_err(|error| match error {
            sse_stream::Error::Body(error) => match error.downcast::<ReadError>() {
                Ok(error) => *error,
                Err(error) => ReadError::Malformed(sse_stream::Error::Body(error)),
            },
            other => ReadError::Malformed(other),
        }))
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Events").field("unparsed", &self.unparsed).finish_non_exhaustive()
    }
}

/// A body that ends with an error once more has come since the last event than one event may have.
struct Bounded<B> {
    body: B,
    limit: usize,
    /// The bytes that have come since the parser was last known to hold nothing.
    unparsed: Arc<AtomicUsize>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Bounded<B>
where
    ReadError: From<B::Error>,
{
    type Data = Bytes;
    type Error = ReadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReadError>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref() {
            let ended = [b"\n\n".as_slice(), b"\r\n\r\n", b"\r\r"].iter().any(|end| data.ends_with(end));
            let unparsed = this.unparsed.fetch_add(data.len(), Ordering::Relaxed) + data.len();
            // what surrounds the data of an event has room beside it
            if unparsed > this.limit.saturating_add(data.len().min(ROOM)) {
                return Poll::Ready(Some(Err(ReadError::TooLarge { limit: this.limit })));
            }
            if ended {
                // comments keep a stream alive without ever being an event
                this.unparsed.store(0, Ordering::Relaxed);
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

/// How much of a chunk may belong to other events, field names and comments.
const ROOM: usize = 64 * 1024;
