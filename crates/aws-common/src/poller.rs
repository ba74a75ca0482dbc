//! The poller of a proxy: receives from one queue, hands over to the inbox and acknowledges by disposition.

mod settle;

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{Client, types::Message};
use proxy_core::{BackendMetrics, backend::Inbox, error::BackendError, id::InstanceId};
use tokio_util::sync::CancellationToken;

use self::settle::Settler;
use crate::{
    acknowledger::Acknowledger,
    attributes::{Malformed, Received},
    polling::{PollHealth, PollSettings, Polling},
};

/// Reads a message of the queue: as it is, or out of what a topic wrapped around it.
pub type Decode = fn(&Message) -> Result<Received, Malformed>;

/// What a poller is told.
#[derive(Debug, Clone)]
pub struct PollerSettings {
    /// How the queue is read; of payloads only those of this instance's messages are.
    pub polls: PollSettings,
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
    polling: Polling,
    settings: PollerSettings,
    decode: Decode,
    inbox: Arc<dyn Inbox>,
}

impl Poller {
    /// A poller that hands over to `inbox` what `decode` makes of the queue's messages.
    pub fn new(
        client: Client,
        mut settings: PollerSettings,
        decode: Decode,
        inbox: Arc<dyn Inbox>,
        instance: InstanceId,
        metrics: BackendMetrics,
    ) -> Self {
        settings.polls.payloads = settings.polls.payloads.only_of(instance.clone());
        let polling = Polling::new(client, settings.polls.clone(), instance, metrics);
        Self { polling, settings, decode, inbox }
    }

    /// How its last polls went.
    pub fn health(&self) -> &PollHealth {
        self.polling.health()
    }

    /// Whether the last poll succeeded, and not too long ago; `None` before the first has ended.
    pub fn check(&self) -> Option<Result<(), BackendError>> {
        self.polling.check()
    }

    /// Polls until `shutdown` fires, then hands over what the receives in flight bring, and resolves once everything is settled and
    /// acknowledged. Recovers from every failure by itself.
    pub async fn run(&self, shutdown: CancellationToken) {
        let acknowledger = Acknowledger::for_polls(&self.polling);
        self.polling.run(Settler::new(self, acknowledger), shutdown).await;
    }
}
