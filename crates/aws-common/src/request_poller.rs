//! The poller of a worker: receives from one queue, hands over to the desk and acknowledges when a request is settled.
//!
//! Until then a message is kept hidden, however long that takes, and a second delivery of it shares its settlement.

mod dead_letters;
mod hold;
mod settle;

use std::sync::Arc;

use aws_sdk_sqs::{Client, types::Message};
use proxy_core::{BackendMetrics, error::BackendError, id::InstanceId, intake::Desk};
use tokio_util::sync::CancellationToken;

pub(crate) use self::dead_letters::DeadLetters;
use self::settle::Settler;
use crate::{
    acknowledger::Acknowledger,
    attributes::{Malformed, ReceivedRequest},
    polling::{PollHealth, PollSettings, Polling, Settling as _},
};

/// Reads a request: as it is, or out of what a topic wrapped around it.
pub type DecodeRequest = fn(&Message) -> Result<ReceivedRequest, Malformed>;

/// What a poller of requests is told.
#[derive(Debug, Clone)]
pub(crate) struct RequestPollerSettings {
    /// How the queue is read.
    pub(crate) polls: PollSettings,
    /// Whether only this worker reads it.
    pub(crate) to_owner: bool,
    /// How its messages are read.
    pub(crate) decode: DecodeRequest,
    /// Where those go that can never be done.
    pub(crate) dead_letters: Option<DeadLetters>,
}

/// Receives requests from one queue until it is told to stop.
#[derive(Debug)]
pub(crate) struct RequestPoller {
    polling: Polling,
    settings: RequestPollerSettings,
}

impl RequestPoller {
    /// A poller of the queue that `settings` name.
    pub(crate) fn new(
        client: Client,
        settings: RequestPollerSettings,
        instance: InstanceId,
        metrics: BackendMetrics,
    ) -> Self {
        Self { polling: Polling::new(client, settings.polls.clone(), instance, metrics), settings }
    }

    /// How its last polls went.
    pub(crate) fn health(&self) -> &PollHealth {
        self.polling.health()
    }

    /// Whether the last poll succeeded, and not too long ago; `None` before the first has ended.
    pub(crate) fn check(&self) -> Option<Result<(), BackendError>> {
        self.polling.check()
    }

    /// Polls until `stopping` fires, then hands over what the receives in flight bring, and resolves once everything is settled and
    /// acknowledged. Recovers from every failure by itself.
    ///
    /// Where it is dropped before, what was not settled comes again when its visibility timeout is over.
    pub(crate) async fn run(&self, desk: &Arc<dyn Desk>, stopping: CancellationToken) {
        self.polling.run(self.settler(desk), stopping).await;
    }

    /// Hands over what lies in the queue of another worker now, and resolves once it is settled.
    ///
    /// # Errors
    /// `Unavailable` when not everything could be settled; otherwise that of the receive.
    pub(crate) async fn drain(&self, desk: &Arc<dyn Desk>) -> Result<(), BackendError> {
        let mut settler = self.settler(desk).of_another();
        let drained = self.polling.drain(&mut settler).await;
        let settled = settler.all_settled();
        settler.finish().await;
        drained.and(settled)
    }

    fn settler<'poller>(&'poller self, desk: &'poller Arc<dyn Desk>) -> Settler<'poller> {
        Settler::new(self, desk, Acknowledger::for_polls(&self.polling))
    }
}
