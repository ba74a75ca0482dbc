//! The poller of a proxy: receives from one queue, hands over to the inbox and acknowledges by disposition.

mod settle;

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{Client, types::Message};
use proxy_core::{BackendMetrics, backend::Inbox, id::InstanceId};
use tokio_util::sync::CancellationToken;

use self::settle::Settler;
use crate::{
    acknowledger::Acknowledger,
    attributes::{Malformed, Received},
    large_payloads::PayloadReader,
    polling::{PollHealth, PollSettings, Polling},
};

/// Reads a message of the queue: as it is, or out of what a topic wrapped around it.
pub type Decode = fn(&Message) -> Result<Received, Malformed>;

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
    /// How payloads are read that are not in the messages themselves.
    pub payloads: PayloadReader,
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
        settings: PollerSettings,
        decode: Decode,
        inbox: Arc<dyn Inbox>,
        instance: InstanceId,
        metrics: BackendMetrics,
    ) -> Self {
        let polls = PollSettings {
            queue_url: settings.queue_url.clone(),
            name: settings.name.clone(),
            wait_time: settings.wait_time,
            max_messages: settings.max_messages,
            visibility_timeout: settings.visibility_timeout,
            payloads: settings.payloads.clone().only_of(instance.clone()),
        };
        Self { polling: Polling::new(client, polls, instance, metrics), settings, decode, inbox }
    }

    /// How its last polls went.
    pub fn health(&self) -> &PollHealth {
        self.polling.health()
    }

    /// Polls until `shutdown` fires, then hands over what the receives in flight bring, and resolves once everything is settled and
    /// acknowledged. Recovers from every failure by itself.
    pub async fn run(&self, shutdown: CancellationToken) {
        let acknowledger = Acknowledger::for_polls(&self.polling);
        self.polling.run(Settler::new(self, acknowledger), shutdown).await;
    }
}
