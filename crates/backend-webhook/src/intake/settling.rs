//! Follows what was taken until it is settled. Over HTTP the receipt was the acknowledgement, so nothing can be given back any more.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use proxy_core::{
    error::{BackendError, ErrorKind},
    intake::Settled,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{IntakeMetrics, Refusal};
use crate::http_server::LAST_REQUEST;

/// The most arrivals that are taken and not settled.
const MOST: usize = 16 * 1024;

/// Everything that was taken and is not settled.
#[derive(Debug)]
pub(crate) struct Settling {
    room: Arc<Semaphore>,
    tasks: TaskTracker,
    over: CancellationToken,
    metrics: IntakeMetrics,
}

/// Room for one more.
#[derive(Debug)]
pub(crate) struct Room(OwnedSemaphorePermit);

impl Settling {
    pub(crate) fn new(metrics: IntakeMetrics) -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST)),
            tasks: TaskTracker::new(),
            over: CancellationToken::new(),
            metrics,
        }
    }

    /// Room for an arrival, before it is handed over: what there is none for must not run.
    ///
    /// # Errors
    /// As much is under way as may be.
    pub(crate) fn room(&self) -> Result<Room, Refusal> {
        Arc::clone(&self.room).try_acquire_owned().map(Room).map_err(|_| Refusal::full())
    }

    /// Follows one.
    pub(crate) fn follow(&self, room: Room, settled: BoxFuture<'static, Settled>) {
        let (over, metrics) = (self.over.clone(), self.metrics.clone());
        self.tasks.spawn(async move {
            let Room(_room) = room;
            let outcome = tokio::select! {
                outcome = settled => outcome,
                () = over.cancelled() => return,
            };
            metrics.transport.delivered(match outcome {
                Settled::Done => "accepted",
                Settled::GiveBack(_) => {
                    tracing::warn!("a message that cannot be given back over HTTP is lost");
                    "lost"
                }
                Settled::Dead(reason) => {
                    tracing::warn!(reason = &*reason, "a message can never be done");
                    "dead"
                }
            });
        });
    }

    /// Whether anything is taken.
    ///
    /// # Errors
    /// `Unavailable` once the end has begun.
    pub(crate) fn check(&self) -> Result<(), BackendError> {
        if self.tasks.is_closed() {
            let message = "no requests are taken any more";
            return Err(BackendError::new(ErrorKind::Unavailable, "check", message));
        }
        Ok(())
    }

    /// Waits for what is not settled, at most 5 s, and follows nothing any more.
    pub(crate) async fn end(&self) {
        self.tasks.close();
        if timeout(LAST_REQUEST, self.tasks.wait()).await.is_err() {
            tracing::warn!(arrivals = self.tasks.len(), "messages were not settled before the end");
            self.over.cancel();
            self.tasks.wait().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::ready, time::Duration};

    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    #[tokio::test]
    async fn what_became_of_an_arrival_is_counted_in_the_words_of_the_other_transports() {
        let mut registry = Registry::default();
        let settling = Settling::new(IntakeMetrics::new("webhook", &mut registry));
        for settled in [Settled::Done, Settled::GiveBack(Duration::ZERO), Settled::Dead("too often".into())] {
            settling.follow(settling.room().unwrap(), Box::pin(ready(settled)));
        }
        settling.end().await;
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for disposition in ["accepted", "lost", "dead"] {
            let counted = format!(
                "mcp_worker_intake_deliveries_total{{backend=\"webhook\",disposition=\"{disposition}\"}} 1"
            );
            assert!(text.contains(&counted), "{disposition} in {text}");
        }
    }
}
