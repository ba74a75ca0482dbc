//! A backend without a transport: what the proxy sends goes through a bounded channel to a far end in this process. What the far end
//! sends goes straight into the inbox, or by way of a queue that [`Backend::run`] reads and acknowledges as real backends do theirs.
//!
//! Tests script both directions by hand through [`FarEnd`], and failures through [`MemoryBackend`].

mod return_queue;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use proxy_core::{
    backend::{Backend, Disposition, Event, Inbound, Inbox, Limits, Outbound, Remote, Sent, Settlement},
    error::{BackendError, ErrorKind},
    id::{RemoteSession, RouteKey},
    message::{Message, MessageError},
};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::return_queue::ReturnQueue;
use crate::{
    contract::Returned,
    counted::{Counted, wait_for},
};

/// How many sent messages wait for the far end before `send` waits for it.
const CAPACITY: usize = 1024;

/// The largest message, as on SQS: 1 MiB.
const MESSAGE_BYTES: usize = 1024 * 1024;

/// A [`Backend`] over channels in this process.
#[derive(Debug)]
pub struct MemoryBackend {
    sent: mpsc::Sender<Outbound>,
    failures: Mutex<VecDeque<SendFailure>>,
    is_ready: watch::Sender<bool>,
    are_sends_held: watch::Sender<bool>,
    /// How many sends wait for being released.
    held: watch::Sender<usize>,
    closed: watch::Sender<Vec<RouteKey>>,
    /// What receipts name.
    receipts: Mutex<Option<RemoteSession>>,
    /// What the far end was told has ended, by the ids that it knows.
    told: Mutex<Vec<String>>,
    inbox: Arc<dyn Inbox>,
    returns: Arc<ReturnQueue>,
}

/// What the next send fails with, and whether its message arrives all the same.
#[derive(Debug)]
struct SendFailure {
    error: BackendError,
    arrives: bool,
}

/// The other side of a [`MemoryBackend`].
#[derive(Debug)]
pub struct FarEnd {
    received: mpsc::Receiver<Outbound>,
    return_path: ReturnPath,
    returns: Arc<ReturnQueue>,
}

/// The way from the far end back into the proxy's inbox. Clones lead to the same inbox.
#[derive(Debug, Clone)]
pub struct ReturnPath {
    inbox: Arc<dyn Inbox>,
    /// Settlements that nobody waits for.
    later: TaskTracker,
}

impl MemoryBackend {
    /// A backend that delivers into this inbox, and its far end.
    pub fn pair(inbox: Arc<dyn Inbox>) -> (Arc<Self>, FarEnd) {
        let (sent, received) = mpsc::channel(CAPACITY);
        let returns = Arc::new(ReturnQueue::default());
        let backend = Self {
            sent,
            failures: Mutex::default(),
            is_ready: watch::Sender::new(true),
            are_sends_held: watch::Sender::new(false),
            held: watch::Sender::new(0),
            closed: watch::Sender::default(),
            receipts: Mutex::default(),
            told: Mutex::default(),
            inbox: Arc::clone(&inbox),
            returns: Arc::clone(&returns),
        };
        (
            Arc::new(backend),
            FarEnd { received, return_path: ReturnPath { inbox, later: TaskTracker::new() }, returns },
        )
    }

    /// Lets the next send fail with this error, its message lost. Several calls fail as many sends.
    pub fn fail_next_send(&self, error: BackendError) {
        self.fail_next(SendFailure { error, arrives: false });
    }

    /// Lets the next send fail with this error, though its message arrives: what `MaybeSent` warns of.
    pub fn fail_next_send_that_arrives(&self, error: BackendError) {
        self.fail_next(SendFailure { error, arrives: true });
    }

    fn fail_next(&self, failure: SendFailure) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push_back(failure);
    }

    /// Keeps every send pending from now on, until [`Self::release_sends`].
    pub fn hold_sends(&self) {
        self.are_sends_held.send_replace(true);
    }

    /// Lets pending sends, and later ones, go on.
    pub fn release_sends(&self) {
        self.are_sends_held.send_replace(false);
    }

    /// Waits until at least this many sends are held.
    pub async fn wait_for_held_sends(&self, count: usize) {
        wait_for(&self.held, |held| *held >= count).await;
    }

    /// Whether [`Backend::check`] succeeds from now on.
    pub fn set_ready(&self, is_ready: bool) {
        self.is_ready.send_replace(is_ready);
    }

    /// The route keys that were closed, in order.
    pub fn closed(&self) -> Vec<RouteKey> {
        self.closed.borrow().clone()
    }

    /// Waits until at least this many route keys were closed.
    pub async fn wait_for_closed(&self, count: usize) {
        wait_for(&self.closed, |closed| closed.len() >= count).await;
    }

    /// Lets the receipts of sends name this session of the far end's from now on.
    pub fn name_in_receipts(&self, session: RemoteSession) {
        *self.receipts.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    /// The sessions that were closed, in order, each by the id that the far end goes by.
    pub fn told_ended(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn wait_while_held(&self) {
        if !*self.are_sends_held.borrow() {
            return;
        }
        let _counted = Counted::new(&self.held);
        wait_for(&self.are_sends_held, |are_held| !*are_held).await;
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Backend for MemoryBackend {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn limits(&self) -> Limits {
        Limits { message_bytes: MESSAGE_BYTES }
    }

    async fn check(&self) -> Result<(), BackendError> {
        if *self.is_ready.borrow() { Ok(()) } else { Err(unavailable("check", "the far end is not ready")) }
    }

    async fn send(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        let size = outbound.message.as_str().len();
        if size > MESSAGE_BYTES {
            let message =
                format!("the message has {size} bytes, and the transport takes at most {MESSAGE_BYTES}");
            return Err(BackendError::new(ErrorKind::TooLarge, "send", message));
        }
        self.wait_while_held().await;
        let failure = self.failures.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if let Some(SendFailure { error, arrives: false }) = failure {
            return Err(error);
        }
        self.sent.send(outbound).await.map_err(|_| unavailable("send", "the far end is gone"))?;
        let session = self.receipts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failure.map_or(Ok(Sent { session }), |failure| Err(failure.error))
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        self.returns.pump(&*self.inbox, &shutdown).await;
        Ok(())
    }

    async fn close(&self, remote: &Remote) -> Result<(), BackendError> {
        let own = remote.peer.as_ref().and_then(|peer| peer.session.as_ref());
        let known = own.map_or(remote.route.as_str(), RemoteSession::as_str).to_owned();
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(known);
        self.closed.send_modify(|closed| closed.push(remote.route.clone()));
        Ok(())
    }
}

impl FarEnd {
    /// The next message that was sent; `None` once the backend is gone.
    pub async fn receive(&mut self) -> Option<Outbound> {
        self.received.recv().await
    }

    /// Waits for messages and puts up to `limit` of those that are there into `buffer`. Returns how many; 0 once the backend is gone.
    pub async fn receive_many(&mut self, buffer: &mut Vec<Outbound>, limit: usize) -> usize {
        self.received.recv_many(buffer, limit).await
    }

    /// The next message that was sent, if it is there already.
    pub fn try_receive(&mut self) -> Option<Outbound> {
        self.received.try_recv().ok()
    }

    /// Hands anything to the inbox. See [`ReturnPath::deliver`].
    pub async fn deliver(&self, inbound: Inbound) -> Disposition {
        self.return_path.deliver(inbound).await
    }

    /// Hands a message to the inbox. See [`ReturnPath::send`].
    pub async fn send(&self, route: &RouteKey, text: impl Into<String>) -> Result<Disposition, MessageError> {
        self.return_path.send(route, text).await
    }

    /// Answers a request with this result, a JSON text.
    ///
    /// # Errors
    ///
    /// When `request` is no request, or `result` is not JSON.
    pub async fn answer(&self, request: &Outbound, result: &str) -> Result<Disposition, MessageError> {
        let id = request.message.id().ok_or(MessageError::Invalid("there is no id to answer"))?.to_json();
        self.send(&request.remote.route, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)).await
    }

    /// Puts something on the queue that [`Backend::run`] reads, as a real far end does; waits while the queue is full.
    pub async fn put(&self, returned: Returned) {
        self.returns.put(returned).await;
    }

    /// How many messages of that queue are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.returns.len()
    }

    /// Takes nothing any more: what is sent from now on fails with `Unavailable` and certainly does not arrive.
    pub fn go_down(&mut self) {
        self.received.close();
    }

    /// The way back alone.
    pub fn return_path(&self) -> ReturnPath {
        self.return_path.clone()
    }
}

impl ReturnPath {
    /// Hands anything to the inbox, and says what became of it.
    pub async fn deliver(&self, inbound: Inbound) -> Disposition {
        match self.inbox.deliver(inbound) {
            Settlement::Now(disposition) => disposition,
            Settlement::Later(disposition) => disposition.await,
        }
    }

    /// Hands anything to the inbox without waiting to learn what becomes of it.
    pub fn post(&self, inbound: Inbound) {
        if let Settlement::Later(disposition) = self.inbox.deliver(inbound) {
            self.later.spawn(async move {
                let disposition = disposition.await;
                tracing::trace!(disposition = disposition.as_str(), "settled");
            });
        }
    }

    /// Hands a message to the inbox, in an envelope as asyncmcp's: the route key and nothing more.
    ///
    /// # Errors
    ///
    /// When `text` is no JSON-RPC message.
    pub async fn send(&self, route: &RouteKey, text: impl Into<String>) -> Result<Disposition, MessageError> {
        let message = Message::parse(text)?;
        Ok(self.deliver(inbound(Some(route.clone()), Event::Message(message))).await)
    }
}

/// What comes from a far end that knows none of the proxy's extensions.
pub fn inbound(route: Option<RouteKey>, event: Event) -> Inbound {
    Inbound { route, peer: None, related: None, sequence: None, message_id: None, event }
}

fn unavailable(operation: &'static str, message: &str) -> BackendError {
    BackendError::new(ErrorKind::Unavailable, operation, message)
}
