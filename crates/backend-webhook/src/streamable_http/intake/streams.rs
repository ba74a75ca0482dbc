//! Bounded streams of messages to one reader, which is gone when it is dropped.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use proxy_core::ProxyContext;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout_at},
};

/// The most messages that wait for one reader.
pub(super) const MOST: usize = 32;

/// The most bytes that wait for one reader; a message that is larger waits alone.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// A message for a client.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) text: String,
    /// Whether it answers the request that the stream is for.
    pub(super) is_answer: bool,
    /// Whether it is an error.
    pub(super) is_error: bool,
    /// Whether it can be left out: a notification.
    pub(super) is_expendable: bool,
    /// What our own proxy is told beside it, where it can be.
    pub(super) context: Option<ProxyContext>,
}

/// Where messages are put. The stream ends once all of these are dropped and what was put before has been read.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    messages: mpsc::Sender<Waiting>,
    /// The bytes that there is room for.
    bytes: Arc<Semaphore>,
    /// When a message was put last.
    last: Arc<Mutex<Option<Instant>>>,
}

/// Where they are read.
#[derive(Debug)]
pub(super) struct Reader {
    messages: mpsc::Receiver<Waiting>,
    /// Runs when nobody reads any more.
    _on_drop: Option<OnDrop>,
}

/// A message that waits for its reader, and the room that it takes.
#[derive(Debug)]
struct Waiting {
    message: Outgoing,
    _room: OwnedSemaphorePermit,
}

/// What is to be done when nobody reads any more.
pub(super) struct OnDrop(Option<Box<dyn FnOnce() + Send>>);

/// Why a message was not put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotPut {
    /// Nobody reads any more.
    Gone,
    /// There was no room until the deadline: somebody reads too slowly.
    Slow,
}

pub(super) fn stream() -> (Writer, Reader) {
    let (writer, messages) = mpsc::channel(MOST);
    let bytes = Arc::new(Semaphore::new(MOST_BYTES));
    (Writer { messages: writer, bytes, last: Arc::default() }, Reader { messages, _on_drop: None })
}

impl Writer {
    /// Puts a message, once there is room.
    pub(super) async fn put(&self, message: Outgoing, deadline: Instant) -> Result<(), NotPut> {
        let room = async {
            let place = self.messages.reserve().await.ok()?;
            let bytes = Arc::clone(&self.bytes).acquire_many_owned(bytes_of(&message));
            tokio::select! {
                biased;
                room = bytes => Some((place, room.ok()?)),
                () = self.messages.closed() => None,
            }
        };
        let (place, room) =
            timeout_at(deadline, room).await.map_err(|_| NotPut::Slow)?.ok_or(NotPut::Gone)?;
        *self.last() = Some(Instant::now());
        place.send(Waiting { message, _room: room });
        Ok(())
    }

    /// Puts a message where there is room.
    pub(super) fn put_now(&self, message: Outgoing) {
        let room = Arc::clone(&self.bytes).try_acquire_many_owned(bytes_of(&message));
        if let (Ok(place), Ok(room)) = (self.messages.try_reserve(), room) {
            place.send(Waiting { message, _room: room });
        }
    }

    /// Waits until everything that was put has been read, at most until then.
    pub(super) async fn drained(&self, until: Instant) {
        // all the room there is
        drop(timeout_at(until, self.messages.reserve_many(MOST)).await);
    }

    /// When a message was put last.
    pub(super) fn last_put(&self) -> Option<Instant> {
        *self.last()
    }

    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody reads.
    pub(super) fn is_read(&self) -> bool {
        !self.messages.is_closed()
    }
}

impl Reader {
    /// Does this when nobody reads any more.
    pub(super) fn when_dropped(self, then: impl FnOnce() + Send + 'static) -> Self {
        Self { _on_drop: Some(OnDrop(Some(Box::new(then)))), ..self }
    }

    /// The next message; `None` once the stream has ended.
    pub(super) async fn next(&mut self) -> Option<Outgoing> {
        self.messages.recv().await.map(|waiting| waiting.message)
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        self.messages.poll_recv(context).map(|next| next.map(|waiting| waiting.message))
    }
}

/// What a message takes of the room.
fn bytes_of(message: &Outgoing) -> u32 {
    u32::try_from(message.text.len().min(MOST_BYTES)).unwrap_or(u32::MAX)
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}

impl std::fmt::Debug for OnDrop {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OnDrop(…)")
    }
}
