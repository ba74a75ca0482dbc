//! The poller: receives from one queue, hands over to the inbox and acknowledges by disposition.
//!
//! One receive at a time, so that an answer does not overtake its progress; two only while messages pile up, and then what both
//! brought is put into order together. A receive is never aborted, since what it took would stay hidden: at shutdown the poller
//! wakes its own with a message to itself.

mod health;
mod pace;
mod receive;
mod recent;
mod settle;
mod wake;

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{Client, types::Message};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use proxy_core::{BackendMetrics, backend::Inbox, error::BackendError, id::InstanceId};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::health::PollHealth;
use self::{
    pace::{Next, Pace},
    receive::Receiver,
    settle::Settler,
    wake::Waker,
};
use crate::{
    acknowledger::Acknowledger,
    attributes::{Malformed, Received},
    client,
};

/// Reads a message of the queue: as it is, or out of what a topic wrapped around it.
pub type Decode = fn(&Message) -> Result<Received, Malformed>;

/// How long the messages of one receive wait for those of the other, which takes as long only if it hangs.
const OVERLAP: Duration = Duration::from_secs(1);

/// What a poll brought.
type Polled = Result<Vec<Message>, BackendError>;

/// What a poller is told.
#[derive(Debug, Clone)]
pub struct PollerSettings {
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
    /// The age at which nobody waits for a message any more: the longest that a request may take.
    pub orphan_after: Duration,
    /// What becomes of messages that are another instance's.
    pub foreign: ForeignPolicy,
}

/// What becomes of messages that are another instance's, or a stranger's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignPolicy {
    /// The queue may have other readers: give them back until they are orphaned.
    GiveBack,
    /// Only our own subscription feeds the queue, and their owners have copies of their own: delete them.
    Delete,
}

/// Receives from one queue until it is told to stop.
#[derive(Debug)]
pub struct Poller {
    client: Client,
    receiver: Receiver,
    settings: PollerSettings,
    decode: Decode,
    inbox: Arc<dyn Inbox>,
    instance: InstanceId,
    metrics: BackendMetrics,
    health: Arc<PollHealth>,
}

impl Poller {
    /// A poller that hands over to `inbox` what `decode` makes of the queue's messages.
    pub fn new(
        client: Client,
        settings: PollerSettings,
        decode: Decode,
        inbox: Arc<dyn Inbox>,
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
        Self { client, receiver, settings, decode, inbox, instance, metrics, health }
    }

    /// How its last polls went.
    pub fn health(&self) -> &PollHealth {
        &self.health
    }

    /// Polls until `shutdown` fires, then hands over what the receives in flight bring, and resolves once everything is settled and
    /// acknowledged. Recovers from every failure by itself.
    pub async fn run(&self, shutdown: CancellationToken) {
        let PollerSettings { queue_url, name, visibility_timeout, .. } = &self.settings;
        let (client, metrics) = (self.client.clone(), self.metrics.clone());
        let acknowledger = Acknowledger::start(client, queue_url, name, *visibility_timeout, metrics);
        let mut settler = Settler::new(self, acknowledger);
        let mut waker = Waker::new(self.client.clone(), queue_url, &self.instance, self.metrics.clone());
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
                Some(settled) = settler.settled() => settler.settle_later(settled).await,
                () = waker.due(&shutdown), if !polls.is_empty() => waker.wake(polls.len()).await,
                else => {}
            }
        }
        settler.finish().await;
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
