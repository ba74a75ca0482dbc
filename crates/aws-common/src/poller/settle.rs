//! Hands over a batch and settles each message by its disposition.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sdk_sqs::types::MessageSystemAttributeName;
use futures_util::FutureExt as _;
use proxy_core::{
    BackendMetrics,
    backend::{Disposition, Inbound, Inbox, Settlement},
    error::BackendError,
    id::InstanceId,
};
use tokio::{task::JoinSet, time::Instant};

use super::{Decode, ForeignPolicy, Poller, PollerSettings};
use crate::{
    acknowledger::Acknowledger,
    attributes::Received,
    backoff::jittered,
    large_payloads::{Arrived, Payload, Pointer},
    polling::{PollHealth, Recent, Seen, Settling, in_order, number},
};

/// For how long a message for which there is no memory is given back.
const BUSY: Duration = Duration::from_secs(4);

/// While a foreign message is this young its owner may be waiting for it.
const YOUNG: Duration = Duration::from_mins(2);

/// The longest that a young foreign message is hidden, and for how long an older one is.
const FOREIGN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// The age at which another instance's message to itself is deleted: nothing waits for it by then.
const STALE_OWN: Duration = Duration::from_secs(30);

/// How often the log says that the queue has other readers.
const NOT_ALONE: Duration = Duration::from_mins(1);

/// The most settlements that are waited for at once; past that the poller waits with them.
const LATER: usize = 1024;

#[derive(Debug)]
pub(super) struct Settler<'poller> {
    settings: &'poller PollerSettings,
    decode: Decode,
    inbox: &'poller Arc<dyn Inbox>,
    instance: &'poller InstanceId,
    metrics: &'poller BackendMetrics,
    health: &'poller PollHealth,
    acknowledger: Acknowledger,
    recent: Recent,
    later: JoinSet<Settled>,
    wakes_seen: usize,
    not_alone: Option<(Instant, u64)>,
}

/// A settlement that came later; without a disposition where it panicked.
type Settled = (Delivered, Option<Disposition>);

/// What settling needs to know of a message that was handed over.
#[derive(Debug)]
pub(super) struct Delivered {
    message_id: Box<str>,
    age: Duration,
    receive_count: u32,
    /// Whether its envelope names another instance.
    others: bool,
    /// Where its payload was, to be deleted with it.
    payload: Option<Pointer>,
}

impl Settling for Settler<'_> {
    type Event = Settled;

    /// Hands over a batch in the order in which it was sent.
    async fn handle(&mut self, batch: Vec<Arrived>) {
        for arrived in in_order(batch) {
            self.handle_one(arrived).await;
        }
    }

    fn is_settling(&self) -> bool {
        !self.later.is_empty()
    }

    async fn next(&mut self) -> Option<Settled> {
        self.later.join_next().await?.ok()
    }

    async fn on(&mut self, (delivered, disposition): Settled) {
        let receipts = self.recent.take_pending(&delivered.message_id);
        let Some(disposition) = disposition else {
            // the receipts run out and the message comes again
            return tracing::error!(messaging.message.id = &*delivered.message_id, "a settlement panicked");
        };
        for receipt in receipts {
            self.settle(&delivered, receipt, disposition).await;
        }
    }

    fn wakes_seen(&self) -> usize {
        self.wakes_seen
    }

    async fn finish(self) {
        self.acknowledger.finish().await;
    }
}

impl<'poller> Settler<'poller> {
    pub(super) fn new(poller: &'poller Poller, acknowledger: Acknowledger) -> Self {
        Self {
            settings: &poller.settings,
            decode: poller.decode,
            inbox: &poller.inbox,
            instance: &poller.polling.instance,
            metrics: &poller.polling.metrics,
            health: poller.health(),
            acknowledger,
            recent: Recent::default(),
            later: JoinSet::new(),
            wakes_seen: 0,
            not_alone: None,
        }
    }

    async fn handle_one(&mut self, Arrived { message, payload }: Arrived) {
        let (Some(message_id), Some(receipt)) = (&message.message_id, &message.receipt_handle) else {
            tracing::error!("a received message has no id or no receipt");
            return;
        };
        let receipt = match self.recent.look_up(message_id, receipt.clone()) {
            Seen::New(receipt) => receipt,
            Seen::Pending => return self.metrics.delivered("duplicate"),
            Seen::Settled(receipt) => {
                self.metrics.delivered("duplicate");
                return self.acknowledger.delete(receipt).await;
            }
        };
        let sent = Duration::from_millis(number(&message, &MessageSystemAttributeName::SentTimestamp));
        let mut delivered = Delivered {
            message_id: message_id.as_str().into(),
            age: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(sent),
            receive_count: u32::try_from(number(
                &message,
                &MessageSystemAttributeName::ApproximateReceiveCount,
            ))
            .unwrap_or(u32::MAX),
            others: false,
            payload: None,
        };
        match payload {
            None => {}
            Some(Payload::Restored { pointer, .. }) => delivered.payload = pointer,
            Some(Payload::Others) => {
                delivered.others = true;
                return self.settle_foreign(&delivered, receipt).await;
            }
            Some(Payload::Malformed(reason)) => {
                self.metrics.malformed();
                tracing::warn!(
                    reason,
                    messaging.message.id = message_id,
                    "a message whose payload cannot be read is deleted"
                );
                return self.delete(&delivered, receipt).await;
            }
            Some(Payload::Failed(error)) => return self.settle_unread(&delivered, receipt, &error).await,
        }
        match (self.decode)(&message) {
            Ok(Received::Inbound(inbound)) => {
                delivered.others =
                    inbound.route.as_ref().is_some_and(|route| !route.belongs_to(self.instance));
                self.deliver(inbound, delivered, receipt).await;
            }
            Ok(Received::Wake(instance)) => {
                let ours = *instance == *self.instance.as_str();
                self.wakes_seen += usize::from(ours);
                self.settle_own(ours, &delivered, receipt).await;
            }
            Ok(Received::Probe(instance)) => {
                let ours = *instance == *self.instance.as_str();
                if ours {
                    self.health.probed();
                }
                self.settle_own(ours, &delivered, receipt).await;
            }
            Err(error) => {
                self.metrics.malformed();
                tracing::warn!(error = %error, messaging.message.id = message_id, "a message that is no JSON-RPC message is deleted");
                self.delete(&delivered, receipt).await;
            }
        }
    }

    async fn deliver(&mut self, inbound: Inbound, delivered: Delivered, receipt: String) {
        match self.inbox.deliver(inbound) {
            Settlement::Now(disposition) => self.settle(&delivered, receipt, disposition).await,
            Settlement::Later(disposition) => {
                self.recent.pending(&delivered.message_id, receipt);
                let disposition = AssertUnwindSafe(disposition).catch_unwind();
                self.later.spawn(async move { (delivered, disposition.await.ok()) });
                while self.later.len() > LATER
                    && let Some(settled) = self.next().await
                {
                    self.on(settled).await;
                }
            }
        }
    }

    async fn settle(&mut self, delivered: &Delivered, receipt: String, disposition: Disposition) {
        match disposition {
            Disposition::Accepted | Disposition::Unroutable => {
                self.metrics.delivered(disposition.as_str());
                self.delete(delivered, receipt).await;
            }
            Disposition::Busy => {
                self.metrics.delivered(disposition.as_str());
                self.acknowledger.release(receipt, jittered(BUSY)).await;
            }
            Disposition::Foreign => self.settle_foreign(delivered, receipt).await,
        }
    }

    async fn settle_foreign(&mut self, delivered: &Delivered, receipt: String) {
        if self.settings.foreign == ForeignPolicy::Delete {
            self.metrics.delivered("foreign");
            return self.delete(delivered, receipt).await;
        }
        self.say_not_alone(delivered.others);
        if delivered.age > self.settings.orphan_after {
            self.metrics.delivered("orphaned");
            return self.delete(delivered, receipt).await;
        }
        self.metrics.delivered("foreign");
        self.acknowledger.release(receipt, hidden_for(delivered.age, delivered.receive_count)).await;
    }

    /// Settles a message whose payload could not be read now.
    async fn settle_unread(&mut self, delivered: &Delivered, receipt: String, error: &BackendError) {
        let message_id = &*delivered.message_id;
        tracing::warn!(%error, error.type = error.kind().as_str(), messaging.message.id = message_id, "a message's payload cannot be read now");
        self.metrics.receive_failed(error);
        if delivered.age > self.settings.orphan_after {
            self.metrics.delivered("orphaned");
            return self.delete(delivered, receipt).await;
        }
        self.acknowledger.release(receipt, jittered(BUSY)).await;
    }

    /// Settles a message that an instance sent to itself, ours or another.
    async fn settle_own(&mut self, ours: bool, delivered: &Delivered, receipt: String) {
        if ours || delivered.age > STALE_OWN || self.settings.foreign == ForeignPolicy::Delete {
            self.delete(delivered, receipt).await;
        } else {
            self.acknowledger.release(receipt, hidden_for(delivered.age, delivered.receive_count)).await;
        }
    }

    async fn delete(&mut self, delivered: &Delivered, receipt: String) {
        self.recent.settled(&delivered.message_id);
        self.acknowledger.delete_with(receipt, delivered.payload.clone()).await;
    }

    fn say_not_alone(&mut self, others: bool) {
        let now = Instant::now();
        let unsaid = match &mut self.not_alone {
            Some((said, unsaid)) if now.duration_since(*said) < NOT_ALONE => {
                *unsaid += 1;
                return;
            }
            other => other.take().map_or(0, |(_, unsaid)| unsaid),
        };
        self.not_alone = Some((now, 0));
        let queue = &*self.settings.polls.name;
        if others {
            tracing::warn!(
                messaging.destination.name = queue,
                messages = unsaid + 1,
                "not alone: another proxy's messages come in on this queue, so answers may be slow; give each proxy a queue of its own"
            );
        } else {
            tracing::warn!(
                messaging.destination.name = queue,
                messages = unsaid + 1,
                "not alone: messages that no proxy asked for come in on this queue"
            );
        }
    }
}

/// For how long a message that is not ours is hidden: from 1 s, doubling to 5 s, while its owner may wait for it.
fn hidden_for(age: Duration, receive_count: u32) -> Duration {
    if age >= YOUNG {
        return FOREIGN.1;
    }
    let doublings = receive_count.saturating_sub(1).min(8);
    Duration::from_secs(1 << doublings).min(FOREIGN.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_hidden_longer_each_time() {
        let seconds = |age, count| hidden_for(Duration::from_secs(age), count).as_secs();
        assert_eq!([1, 2, 3, 4, 100].map(|count| seconds(3, count)), [1, 2, 4, 5, 5]);
        assert_eq!(seconds(120, 1), 60);
    }
}
