//! The batching sender.
//!
//! A lone message goes at once. Those that arrive while a batch is on its way share the next one: at most ten, and at most the
//! size limit in all. Another batch, of up to four in flight, starts only when a full one is waiting. Of a FIFO group one message is
//! on its way at a time, its retries included, so that none overtakes another.

mod destination;
mod groups;
mod queue;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proxy_core::{
    BackendMetrics,
    error::{BackendError, Delivery, ErrorKind},
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::task::TaskTracker;

use self::{destination::Outcome, groups::Groups};
pub use self::{
    destination::{Destination, Outcomes},
    queue::QueueDestination,
};
use crate::{attributes::OutgoingMessage, backoff::Backoff, error::Call};

/// The most messages in a batch (AWS, `SendMessageBatch` and `PublishBatch`).
const BATCH_MESSAGES: usize = 10;

/// The most batches on their way at once.
const BATCHES_IN_FLIGHT: usize = 4;

/// The most messages that are admitted at once; the others wait their turn before they are queued.
const ADMITTED: usize = 1024;

/// The delay before the first retry, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Sends messages to one queue or topic. Clones share its batches.
#[derive(Debug, Clone)]
pub struct BatchingSender(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    destination: Box<dyn Destination>,
    target: Box<str>,
    limit: usize,
    metrics: BackendMetrics,
    admitted: Semaphore,
    groups: Groups,
    queue: Mutex<Queue>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Entry>,
    in_flight: usize,
}

#[derive(Debug)]
struct Entry {
    message: Arc<OutgoingMessage>,
    size: usize,
    deadline: Instant,
    done: oneshot::Sender<Result<(), BackendError>>,
}

impl BatchingSender {
    /// A sender to `destination`, called `target` in errors, which takes `limit` bytes a message and batch.
    pub fn new(destination: impl Destination, target: &str, limit: usize, metrics: BackendMetrics) -> Self {
        Self(Arc::new(Shared {
            destination: Box::new(destination),
            target: target.into(),
            limit,
            metrics,
            admitted: Semaphore::new(ADMITTED),
            groups: Groups::default(),
            queue: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Sends a message; resolves once the queue or topic has it. What certainly sent nothing and may pass is tried again until
    /// `deadline`; what may have arrived never is.
    ///
    /// # Errors
    /// `TooLarge`, naming both sizes, before anything is sent; what the queue or topic says otherwise.
    pub async fn send(&self, message: OutgoingMessage, deadline: Instant) -> Result<(), BackendError> {
        let started = Instant::now();
        let result = self.send_until(message, deadline).await;
        self.0.metrics.sent(result.as_ref().copied(), started.elapsed());
        result
    }

    /// The largest message that is sent, in bytes.
    pub fn message_bytes(&self) -> usize {
        self.0.limit
    }

    /// Resolves once no batch is on its way. Nothing may be sent any more.
    pub async fn close(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    async fn send_until(&self, message: OutgoingMessage, deadline: Instant) -> Result<(), BackendError> {
        let shared = &self.0;
        let size = message.size();
        if size > shared.limit {
            let message =
                format!("the message has {size} bytes, but {} takes {}", shared.target, shared.limit);
            return Err(BackendError::new(ErrorKind::TooLarge, "send", message));
        }
        let group = message.group.as_ref().map(|group| &group.id);
        let turn = async {
            match group {
                Some(group) => Some(shared.groups.turn(group).await),
                None => None,
            }
        };
        // the turn first: what waits for its group keeps no other message out
        let Ok(_turn) = timeout_at(deadline, turn).await else {
            return Err(shared.late());
        };
        let Ok(_admitted) = timeout_at(deadline, shared.admitted.acquire()).await else {
            return Err(shared.late());
        };
        let message = Arc::new(message);
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let (done, outcome) = oneshot::channel();
            shared.lock().waiting.push_back(Entry { message: Arc::clone(&message), size, deadline, done });
            Shared::start(shared);
            let error = match outcome.await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_closed) => {
                    return Err(BackendError::new(ErrorKind::Unavailable, "send", "the sender was stopped")
                        .with_delivery(Delivery::MaybeSent));
                }
            };
            let retry_at = Instant::now() + backoff.next_delay();
            if !error.is_retryable() || retry_at >= deadline {
                return Err(error);
            }
            tracing::debug!(error = %error, error.type = error.kind().as_str(), "send is tried again");
            sleep_until(retry_at).await;
        }
    }
}

impl Shared {
    fn start(shared: &Arc<Self>) {
        let batch = shared.lock().next_batch(shared.limit);
        if let Some(batch) = batch {
            shared.tasks.spawn(Arc::clone(shared).work(batch));
        }
    }

    /// Transmits this batch and those that wait when it is done.
    async fn work(self: Arc<Self>, mut batch: Vec<Entry>) {
        loop {
            self.transmit(batch).await;
            let mut queue = self.lock();
            queue.in_flight -= 1;
            match queue.next_batch(self.limit) {
                Some(next) => batch = next,
                None => return,
            }
        }
    }

    async fn transmit(&self, batch: Vec<Entry>) {
        let now = Instant::now();
        let (batch, late): (Vec<_>, Vec<_>) = batch.into_iter().partition(|entry| entry.deadline > now);
        for entry in late {
            entry.resolve(Err(self.late()));
        }
        if batch.is_empty() {
            return;
        }
        match self.call(&batch).await {
            Ok(outcomes) => self.resolve_each(batch, &outcomes),
            Err(error)
                if batch.len() > 1 && matches!(error.kind(), ErrorKind::Protocol | ErrorKind::TooLarge) =>
            {
                // AWS refused the batch for the sake of one of them: the others must not suffer
                for entry in batch {
                    match self.call(std::slice::from_ref(&entry)).await {
                        Ok(outcomes) => self.resolve_each(vec![entry], &outcomes),
                        Err(error) => entry.resolve(Err(error)),
                    }
                }
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(error = %error, cause, error.type = error.kind().as_str(), messages = batch.len(), "a batch was not sent");
                for entry in batch {
                    entry.resolve(Err(copy(&error)));
                }
            }
        }
    }

    async fn call(&self, batch: &[Entry]) -> Result<Outcomes, BackendError> {
        let messages: Vec<&OutgoingMessage> = batch.iter().map(|entry| &*entry.message).collect();
        let result = self.destination.transmit(&messages, self.describe()).await;
        self.metrics.called(self.destination.action(), result.as_ref().map(|_| ()));
        result
    }

    fn resolve_each(&self, batch: Vec<Entry>, outcomes: &Outcomes) {
        for (index, entry) in batch.into_iter().enumerate() {
            entry.resolve(match outcomes.of(index) {
                Some(Outcome::Sent) => Ok(()),
                Some(Outcome::Failed { code, sender_fault }) => {
                    Err(self.describe().entry_failed(code, *sender_fault))
                }
                None => {
                    let message = format!("{} did not say what became of the message", self.target);
                    Err(BackendError::new(ErrorKind::Protocol, "send", message)
                        .with_delivery(Delivery::MaybeSent))
                }
            });
        }
    }

    fn describe(&self) -> Call<'_> {
        Call {
            operation: "send",
            permission: self.destination.permission(),
            target: &self.target,
            sends: true,
        }
    }

    fn late(&self) -> BackendError {
        let message = format!("too many messages wait for {}: this one's time is over", self.target);
        BackendError::new(ErrorKind::Unavailable, "send", message)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Takes the next batch, if one should go now, and counts it as in flight.
    fn next_batch(&mut self, limit: usize) -> Option<Vec<Entry>> {
        // nobody waits for these any more, and they have certainly not been sent
        while self.waiting.front().is_some_and(|entry| entry.done.is_closed()) {
            self.waiting.pop_front();
        }
        let mut bytes = 0;
        let fitting = self.waiting.iter().take(BATCH_MESSAGES).take_while(|entry| {
            bytes += entry.size;
            bytes <= limit
        });
        let count = fitting.count();
        let full = count == BATCH_MESSAGES || count < self.waiting.len();
        if count == 0 || self.in_flight >= BATCHES_IN_FLIGHT || (self.in_flight > 0 && !full) {
            return None;
        }
        self.in_flight += 1;
        Some(self.waiting.drain(..count).collect())
    }
}

impl Entry {
    fn resolve(self, result: Result<(), BackendError>) {
        if self.done.send(result).is_err() {
            tracing::debug!("nobody waited for a send's outcome");
        }
    }
}

/// The same error for another message of the batch; the cause goes to the log once.
fn copy(error: &BackendError) -> BackendError {
    BackendError::new(error.kind(), error.operation(), error.to_string()).with_delivery(error.delivery())
}
