//! What clients read: the reply to what they sent, whole or as a stream of events.

use std::{
    fmt, future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream as AsyncStream;

pub use crate::state::stream::{Media, StreamEvent};
use crate::{
    router::Router,
    state::{
        Key, Reading,
        stream::{Cursor, Decision, Stream},
    },
};

/// Answers on their way. Dropping it loses nothing: the exchanges go on, and what they bring can be resumed where the client
/// has an event id.
pub struct Pending {
    router: Arc<Router>,
    session: Key,
    stream: Arc<Stream>,
}

/// What a client gets for what it sent.
#[derive(Debug)]
pub enum Reply {
    /// The complete answers, each a JSON text, in the order in which they came. None of them: the client cancelled the request.
    Whole(Vec<String>),
    /// The events as they come, the answers at the end.
    Stream(EventStream),
}

impl Pending {
    pub(crate) fn new(router: Arc<Router>, session: Key, stream: Arc<Stream>) -> Self {
        Self { router, session, stream }
    }

    /// Waits until it is clear what the reply is: whole where every answer comes before anything else and within `sse_after`, or
    /// where the client takes nothing else; a stream otherwise.
    pub async fn reply(self, sse_after: Duration) -> Reply {
        let decided = future::poll_fn(|context| self.stream.decide(false, Some(context)));
        let decision = match tokio::time::timeout(sse_after, decided).await {
            Ok(decision) => decision,
            Err(_) => future::poll_fn(|context| self.stream.decide(true, Some(context))).await,
        };
        match decision {
            Decision::Whole(answers) => Reply::Whole(answers),
            Decision::Stream => {
                let cursor = self.stream.read(None);
                Reply::Stream(EventStream {
                    router: self.router,
                    session: self.session,
                    stream: self.stream,
                    cursor,
                })
            }
        }
    }
}

/// The events of one stream, from where its reader stands. It ends when the stream is complete, when its session ends, or when a
/// newer reader has taken it over.
pub struct EventStream {
    router: Arc<Router>,
    session: Key,
    stream: Arc<Stream>,
    cursor: Cursor,
}

impl EventStream {
    pub(crate) fn new(router: Arc<Router>, reading: Reading) -> Self {
        let Reading { session, stream, cursor } = reading;
        Self { router, session, stream, cursor }
    }

    /// The id that stands for where the reader is: that of the last event it has had, or of the priming event before the first.
    pub fn position(&self) -> String {
        self.cursor.event_id(self.stream.number())
    }

    /// The next event; `None` once the stream has ended for this reader.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        future::poll_fn(|context| self.stream.poll(&mut self.cursor, context)).await
    }
}

impl AsyncStream for EventStream {
    type Item = StreamEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.stream.poll(&mut this.cursor, context)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if self.stream.release(&self.cursor) {
            self.router.update(|state, now| state.stopped_reading(self.session, self.stream.number(), now));
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pending").field("stream", &self.stream.number()).finish_non_exhaustive()
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EventStream").field("position", &self.position()).finish_non_exhaustive()
    }
}
