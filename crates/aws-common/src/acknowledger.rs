//! Deletes messages, and hides those again that are given back, in batches.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    error::BuildError,
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    },
};
use futures_util::future::join_all;
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    attributes::is_fifo,
    backoff::Backoff,
    error::Call,
    large_payloads::{LargePayloads, Pointer},
    polling::{PollSettings, Polling},
};

/// The most entries in a batch (AWS, `DeleteMessageBatch` and `ChangeMessageVisibilityBatch`).
const BATCH: usize = 10;

/// How long a delete waits for others, at most: no longer than a quarter of the time in which it has to be made. A visibility change
/// waits for none: until it is made the message is hidden from its owner.
const LINGER: Duration = Duration::from_secs(1);

/// The most acknowledgements that wait; past that the poller does.
const WAITING: usize = 1024;

/// The most batches on their way at once.
const IN_FLIGHT: usize = 4;

/// How often a batch is tried. What fails for good comes again and is recognised as a duplicate.
const ATTEMPTS: u32 = 5;

/// Acknowledges the messages of one queue.
#[derive(Debug)]
pub(crate) struct Acknowledger {
    deletes: mpsc::Sender<Item>,
    releases: mpsc::Sender<Item>,
    workers: JoinSet<()>,
}

#[derive(Debug, Clone)]
struct Item {
    receipt_handle: String,
    /// Hides the message for this many seconds more; none deletes it.
    hide: Option<i32>,
    /// What is deleted once the message is.
    payload: Option<Pointer>,
}

#[derive(Debug, Clone)]
struct Target {
    client: Client,
    queue_url: Box<str>,
    name: Box<str>,
    metrics: BackendMetrics,
    payloads: Option<LargePayloads>,
}

impl Acknowledger {
    /// Starts acknowledging the messages of a queue that is polled so.
    pub(crate) fn for_polls(polling: &Polling) -> Self {
        let PollSettings { queue_url, name, visibility_timeout, payloads, .. } = &polling.settings;
        let target = Target {
            client: polling.client.clone(),
            queue_url: queue_url.clone(),
            name: name.clone(),
            metrics: polling.metrics.clone(),
            payloads: payloads.payloads().cloned(),
        };
        let (deletes, to_delete) = mpsc::channel(WAITING);
        let (releases, to_release) = mpsc::channel(WAITING);
        let mut workers = JoinSet::new();
        // a FIFO group gives out nothing more until its message is deleted
        let linger = if is_fifo(queue_url) { Duration::ZERO } else { LINGER.min(*visibility_timeout / 4) };
        workers.spawn(work(target.clone(), to_delete, linger));
        workers.spawn(work(target, to_release, Duration::ZERO));
        Self { deletes, releases, workers }
    }

    /// Deletes a message, within a second or so.
    pub(crate) async fn delete(&self, receipt_handle: String) {
        self.delete_with(receipt_handle, None).await;
    }

    /// Deletes a message, and then its payload.
    pub(crate) async fn delete_with(&self, receipt_handle: String, payload: Option<Pointer>) {
        enqueue(&self.deletes, Item { receipt_handle, hide: None, payload }).await;
    }

    /// Gives a message back, hidden for this long from now, or keeps it hidden for so long; whole seconds.
    pub(crate) async fn release(&self, receipt_handle: String, hidden_for: Duration) {
        let hide = i32::try_from(hidden_for.as_secs()).unwrap_or(i32::MAX);
        enqueue(&self.releases, Item { receipt_handle, hide: Some(hide), payload: None }).await;
    }

    /// Resolves once everything that was handed in is done.
    pub(crate) async fn finish(self) {
        let Self { deletes, releases, workers } = self;
        drop((deletes, releases));
        workers.join_all().await;
    }
}

async fn enqueue(queue: &mpsc::Sender<Item>, item: Item) {
    if queue.send(item).await.is_err() {
        tracing::error!("a message cannot be acknowledged: the acknowledger has stopped");
    }
}

async fn work(target: Target, mut items: mpsc::Receiver<Item>, linger: Duration) {
    let mut batches = JoinSet::new();
    let mut batch = Vec::with_capacity(BATCH);
    while items.recv_many(&mut batch, BATCH).await > 0 {
        let due = Instant::now() + linger;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                biased;
                received = items.recv_many(&mut batch, room) => if received == 0 { break },
                () = sleep_until(due) => break,
            }
        }
        while batches.len() >= IN_FLIGHT {
            batches.join_next().await;
        }
        batches.spawn(settle(target.clone(), std::mem::take(&mut batch)));
    }
    batches.join_all().await;
}

async fn settle(target: Target, mut batch: Vec<Item>) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    for _ in 0..ATTEMPTS {
        batch = match target.call(&batch).await {
            Ok(failed) => {
                let again = failed.iter().filter_map(|failed| retried(failed, &batch)).collect();
                target.delete_payloads(&batch, &failed).await;
                again
            }
            Err(error) if error.kind().is_retryable() => batch,
            Err(error) => {
                tracing::error!(error = %error, error.type = error.kind().as_str(), messages = batch.len(), "messages cannot be acknowledged");
                return;
            }
        };
        if batch.is_empty() {
            return;
        }
        sleep(backoff.next_delay()).await;
    }
    tracing::warn!(messages = batch.len(), "messages were not acknowledged: they will come again");
}

/// The item of a failed entry, unless it is the receipt that is no good any more: then the message is somebody else's.
fn retried(failed: &BatchResultErrorEntry, batch: &[Item]) -> Option<Item> {
    if failed.sender_fault() {
        tracing::debug!(code = failed.code(), "a receipt has expired");
        return None;
    }
    batch.get(failed.id().parse::<usize>().ok()?).cloned()
}

impl Target {
    async fn call(&self, batch: &[Item]) -> Result<Vec<BatchResultErrorEntry>, BackendError> {
        if batch.iter().any(|item| item.hide.is_some()) {
            self.hide(batch).await
        } else {
            self.delete(batch).await
        }
    }

    /// Deletes the payloads of the messages of a batch that did not fail: of the others another delivery may want them.
    async fn delete_payloads(&self, batch: &[Item], failed: &[BatchResultErrorEntry]) {
        let Some(payloads) = &self.payloads else { return };
        let is_done = |index: usize| failed.iter().all(|failed| failed.id() != index.to_string());
        let done = batch.iter().enumerate().filter(|(index, _)| is_done(*index));
        let deletes = done.filter_map(|(_, item)| Some(payloads.delete(item.payload.as_ref()?)));
        for error in join_all(deletes).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "a payload cannot be deleted: a lifecycle rule of its bucket has to");
        }
    }

    async fn delete(&self, batch: &[Item]) -> Result<Vec<BatchResultErrorEntry>, BackendError> {
        let entry = |(index, item): (usize, &Item)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(&item.receipt_handle)
                .build()
        };
        let entries = batch.iter().enumerate().map(entry).collect::<Result<_, _>>().map_err(unmade)?;
        let request =
            self.client.delete_message_batch().queue_url(&*self.queue_url).set_entries(Some(entries));
        let result = request.send().await.map_err(|error| self.describe("sqs:DeleteMessage").failed(&error));
        self.metrics.called("DeleteMessageBatch", result.as_ref().map(|_| ()));
        result.map(|output| output.failed)
    }

    async fn hide(&self, batch: &[Item]) -> Result<Vec<BatchResultErrorEntry>, BackendError> {
        let entry = |(index, item): (usize, &Item)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(&item.receipt_handle)
                .set_visibility_timeout(item.hide)
                .build()
        };
        let entries = batch.iter().enumerate().map(entry).collect::<Result<_, _>>().map_err(unmade)?;
        let request = self
            .client
            .change_message_visibility_batch()
            .queue_url(&*self.queue_url)
            .set_entries(Some(entries));
        let call = self.describe("sqs:ChangeMessageVisibility");
        let result = request.send().await.map_err(|error| call.failed(&error));
        self.metrics.called("ChangeMessageVisibilityBatch", result.as_ref().map(|_| ()));
        result.map(|output| output.failed)
    }

    fn describe(&self, permission: &'static str) -> Call<'_> {
        Call { operation: "acknowledge", permission, target: &self.name, sends: false }
    }
}

fn unmade(error: BuildError) -> BackendError {
    BackendError::new(ErrorKind::Protocol, "acknowledge", "a receipt cannot be put into a request")
        .with_source(error)
}
