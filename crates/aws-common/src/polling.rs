//! Receives from one queue; who settles is another's.
//!
//! One receive at a time, so that an answer does not overtake its progress; two only while messages pile up, and then what both
//! brought is put into order together. A receive is never aborted, since what it took would stay hidden: at shutdown the poller
//! wakes its own with a message to itself.

mod health;
mod pace;
mod receive;
mod recent;
mod wake;

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{Message, MessageSystemAttributeName},
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use proxy_core::{BackendMetrics, error::BackendError, id::InstanceId};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::health::PollHealth;
pub(crate) use self::recent::{Recent, Seen};
use self::{
    pace::{Next, Pace},
    receive::Receiver,
    wake::Waker,
};
use crate::{
    client,
    large_payloads::{Arrived, PayloadReader},
};

/// How long the messages of one receive wait for those of the other, which takes as long only if it hangs.
const OVERLAP: Duration = Duration::from_secs(1);

/// How much longer than its wait a poll may take before readiness doubts it.
const POLL_MARGIN: Duration = Duration::from_secs(20);

/// What a poll brought.
type Polled = Result<Vec<Arrived>, BackendError>;

/// How one queue is read.
#[derive(Debug, Clone)]
pub struct PollSettings {
    /// The queue.
    pub queue_url: Box<str>,
    /// What errors and logs call it.
    pub name: Box<str>,
    /// How long a receive waits for a message: whole seconds, at most 20 (AWS, `ReceiveMessage`).
    pub wait_time: Duration,
    /// The most messages a receive takes, 1 to 10 (AWS, `ReceiveMessage`).
    pub max_messages: u8,
    /// How long a received message stays hidden unless it is acknowledged.
    pub visibility_timeout: Duration,
    /// How payloads are read that are not in the messages themselves.
    pub payloads: PayloadReader,
}

/// Settles what the receives bring.
pub(crate) trait Settling {
    /// Something that came to pass since, such as a settlement.
    type Event;

    /// Takes what a receive brought, or two.
    async fn handle(&mut self, batch: Vec<Arrived>);

    /// Whether anything is still to be settled.
    fn is_settling(&self) -> bool;

    /// What comes to pass next; `None` while nothing is to be settled. May be dropped at any time.
    async fn next(&mut self) -> Option<Self::Event>;

    /// Takes what came to pass.
    async fn on(&mut self, event: Self::Event);

    /// How many of this instance's messages to itself have come.
    fn wakes_seen(&self) -> usize;

    /// Resolves once everything is acknowledged.
    async fn finish(self);
}

/// The receives from one queue.
#[derive(Debug)]
pub(crate) struct Polling {
    pub(crate) client: Client,
    receiver: Receiver,
    pub(crate) settings: PollSettings,
    pub(crate) instance: InstanceId,
    pub(crate) metrics: BackendMetrics,
    health: Arc<PollHealth>,
}

impl Polling {
    pub(crate) fn new(
        client: Client,
        settings: PollSettings,
        instance: InstanceId,
        metrics: BackendMetrics,
    ) -> Self {
        let health = Arc::new(PollHealth::default());
        let receiver = Receiver {
            client: client::for_polls(&client, settings.wait_time),
            settings: settings.clone(),
            metrics: metrics.clone(),
            health: Arc::clone(&health),
        };
        Self { client, receiver, settings, instance, metrics, health }
    }

    pub(crate) fn health(&self) -> &PollHealth {
        &self.health
    }

    /// Whether the last poll succeeded, and not too long ago; `None` before the first has ended.
    pub(crate) fn check(&self) -> Option<Result<(), BackendError>> {
        self.health.check(self.settings.wait_time + POLL_MARGIN)
    }

    /// Polls until `shutdown` fires, then hands over what the receives in flight bring, and resolves once everything is settled and
    /// acknowledged. Recovers from every failure by itself.
    pub(crate) async fn run(&self, mut settler: impl Settling, shutdown: CancellationToken) {
        let (url, instance) = (&self.settings.queue_url, &self.instance);
        let mut waker = Waker::new(self.client.clone(), url, instance, self.metrics.clone());
        let mut pace = Pace::new(self.settings.max_messages);
        let mut polls = FuturesUnordered::new();
        polls.push(self.receiver.receive(Duration::ZERO, &shutdown));
        while !polls.is_empty() || settler.is_settling() {
            tokio::select! {
                Some(received) = polls.next() => {
                    let received = together(received, &mut polls).await;
                    let next = pace.after(&received);
                    settler.handle(received.into_iter().flatten().flatten().collect()).await;
                    if !polls.is_empty() {
                        // the other is still on its way, and goes on being waited for
                    } else if !shutdown.is_cancelled() {
                        polls.extend(self.receives(next, &shutdown));
                    } else if waker.missing(settler.wakes_seen()) {
                        polls.push(self.receiver.sweep());
                    }
                }
                Some(event) = settler.next() => settler.on(event).await,
                () = waker.due(&shutdown), if !polls.is_empty() => waker.wake(polls.len()).await,
                else => {}
            }
        }
        settler.finish().await;
    }

    /// Hands over all that lies in the queue now and settles it.
    ///
    /// # Errors
    /// The first receive that failed.
    pub(crate) async fn drain(&self, settler: &mut impl Settling) -> Result<(), BackendError> {
        // of a queue's many servers a receive may ask some, so one that finds nothing does not mean that there is nothing
        let mut empty = 0;
        while empty < 2 {
            let batch = self.receiver.sweep().await?;
            empty = if batch.is_empty() { empty + 1 } else { 0 };
            settler.handle(batch).await;
            while let Some(event) = settler.next().await {
                settler.on(event).await;
            }
        }
        Ok(())
    }

    fn receives<'poller>(
        &'poller self,
        next: Next,
        shutdown: &'poller CancellationToken,
    ) -> Vec<BoxFuture<'poller, Polled>> {
        match next {
            Next::One { delay } => vec![self.receiver.receive(delay, shutdown)],
            Next::Two => vec![self.receiver.look(), self.receiver.look()],
        }
    }
}

/// What two receives brought is put into order together: either may have taken the older messages.
async fn together(first: Polled, polls: &mut FuturesUnordered<BoxFuture<'_, Polled>>) -> Vec<Polled> {
    let mut received = vec![first];
    if received.iter().flatten().any(|messages| !messages.is_empty())
        && let Ok(Some(other)) = timeout(OVERLAP, polls.next()).await
    {
        received.push(other);
    }
    received
}

/// A batch in the order in which it was sent, as far as the clock of SQS tells (milliseconds).
pub(crate) fn in_order(mut batch: Vec<Arrived>) -> Vec<Arrived> {
    batch.sort_by_cached_key(|arrived| number(&arrived.message, &MessageSystemAttributeName::SentTimestamp));
    batch
}

/// A number that SQS says of a message; 0 where it does not.
pub(crate) fn number(message: &Message, name: &MessageSystemAttributeName) -> u64 {
    let value = message.attributes().and_then(|attributes| attributes.get(name));
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_put_into_the_order_in_which_it_was_sent() {
        let message = |id: &str, sent: &str| Arrived {
            message: Message::builder()
                .message_id(id)
                .attributes(MessageSystemAttributeName::SentTimestamp, sent)
                .build(),
            payload: None,
        };
        let batch = in_order(vec![
            message("c", "1000"),
            message("a", "998"),
            message("b", "999"),
            message("d", "1000"),
        ]);
        let ids: Vec<_> = batch.iter().filter_map(|arrived| arrived.message.message_id()).collect();
        assert_eq!(ids, ["a", "b", "c", "d"]);
    }
}
