//! The batching sender.
//!
//! A lone message goes at once. Those that arrive while a batch is on its way share the next one: at most ten, and at most the
//! size limit in all. Another batch, of up to four in flight, starts only when a full one is waiting.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    operation::send_message_batch::SendMessageBatchOutput,
    types::{MessageAttributeValue, SendMessageBatchRequestEntry},
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

use crate::{attributes::OutgoingMessage, backoff::Backoff, error::Call};

/// The most messages in a batch (AWS, `SendMessageBatch`).
const BATCH_MESSAGES: usize = 10;

/// The most batches on their way at once.
const BATCHES_IN_FLIGHT: usize = 4;

/// The most messages that are admitted at once; the others wait their turn before they are queued.
const ADMITTED: usize = 1024;

/// The delay before the first retry, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Sends messages to one queue. Clones share its batches.
#[derive(Debug, Clone)]
pub struct BatchingSender(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    queue_url: Box<str>,
    target: Box<str>,
    limit: usize,
    metrics: BackendMetrics,
    admitted: Semaphore,
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
    /// A sender to the queue at `queue_url`, called `target` in errors, which takes `limit` bytes a message and batch.
    pub fn new(client: Client, queue_url: &str, target: &str, limit: usize, metrics: BackendMetrics) -> Self {
        Self(Arc::new(Shared {
            client,
            queue_url: queue_url.into(),
            target: target.into(),
            limit,
            metrics,
            admitted: Semaphore::new(ADMITTED),
            queue: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Sends a message; resolves once the queue has it. What certainly sent nothing and may pass is tried again until
    /// `deadline`; what may have arrived never is.
    ///
    /// # Errors
    /// `TooLarge`, naming both sizes, before anything is sent; what the queue says otherwise.
    pub async fn send(&self, message: OutgoingMessage, deadline: Instant) -> Result<(), BackendError> {
        let started = Instant::now();
        let result = self.send_until(message, deadline).await;
        self.0.metrics.sent(result.as_ref().copied(), started.elapsed());
        result
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
            Ok(output) => self.resolve_each(batch, &output),
            Err(error)
                if batch.len() > 1 && matches!(error.kind(), ErrorKind::Protocol | ErrorKind::TooLarge) =>
            {
                // AWS refused the batch for the sake of one of them: the others must not suffer
                for entry in batch {
                    match self.call(std::slice::from_ref(&entry)).await {
                        Ok(output) => self.resolve_each(vec![entry], &output),
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

    async fn call(&self, batch: &[Entry]) -> Result<SendMessageBatchOutput, BackendError> {
        let mut entries = Vec::with_capacity(batch.len());
        for (index, entry) in batch.iter().enumerate() {
            entries.push(request_entry(index, &entry.message)?);
        }
        let request = self.client.send_message_batch().queue_url(&*self.queue_url).set_entries(Some(entries));
        let result = request.send().await.map_err(|error| self.describe().failed(&error));
        self.metrics.called("SendMessageBatch", result.as_ref().map(|_| ()));
        result
    }

    fn resolve_each(&self, batch: Vec<Entry>, output: &SendMessageBatchOutput) {
        for (index, entry) in batch.into_iter().enumerate() {
            let id = index.to_string();
            let failed = output.failed().iter().find(|failed| failed.id() == id);
            entry.resolve(match failed {
                Some(failed) => Err(self.describe().entry_failed(failed.code(), failed.sender_fault())),
                None if output.successful().iter().any(|sent| sent.id() == id) => Ok(()),
                None => {
                    let message = format!("{} did not say what became of the message", self.target);
                    Err(BackendError::new(ErrorKind::Protocol, "send", message)
                        .with_delivery(Delivery::MaybeSent))
                }
            });
        }
    }

    fn describe(&self) -> Call<'_> {
        Call { operation: "send", permission: "sqs:SendMessage", target: &self.target, sends: true }
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

fn request_entry(
    index: usize,
    message: &OutgoingMessage,
) -> Result<SendMessageBatchRequestEntry, BackendError> {
    let unmade = |error: aws_sdk_sqs::error::BuildError| {
        BackendError::new(ErrorKind::Protocol, "send", "the message cannot be put into a request")
            .with_source(error)
    };
    let mut entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(&message.body);
    for attribute in &message.attributes {
        let value = MessageAttributeValue::builder()
            .data_type(attribute.data_type.as_str())
            .string_value(&attribute.value)
            .build()
            .map_err(unmade)?;
        entry = entry.message_attributes(&*attribute.name, value);
    }
    entry.build().map_err(unmade)
}

/// The same error for another message of the batch; the cause goes to the log once.
fn copy(error: &BackendError) -> BackendError {
    BackendError::new(error.kind(), error.operation(), error.to_string()).with_delivery(error.delivery())
}
