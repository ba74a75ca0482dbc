//! Hands over requests and acknowledges each when it is settled.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sdk_sqs::types::Message;
use futures_util::FutureExt as _;
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
    id::InstanceId,
    intake::{Arrival, Desk, Settled},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{RequestPoller, RequestPollerSettings, hold::Held};
use crate::{
    acknowledger::Acknowledger,
    attributes::ReceivedRequest,
    large_payloads::{Arrived, Payload, Pointer},
    polling::{Recent, Seen, Settling, in_order},
};

/// The most requests that are worked on at once; past that nothing more is received.
const HELD: usize = 8192;

/// The most reasons that are kept for messages which are to come again.
const DOOMED: usize = 1024;

/// For how long a message is given back that could not be settled.
const LATER: Duration = Duration::from_secs(30);

/// The reason beside a message that is none.
const MALFORMED: &str = "malformed: the body is no JSON-RPC message";

pub(super) struct Settler<'poller> {
    settings: &'poller RequestPollerSettings,
    desk: &'poller Arc<dyn Desk>,
    instance: &'poller InstanceId,
    metrics: &'poller BackendMetrics,
    acknowledger: Acknowledger,
    recent: Recent,
    held: Held,
    pending: JoinSet<Ended>,
    /// Where the payloads of the messages were that are worked on.
    payloads: HashMap<Box<str>, Pointer>,
    /// Why messages that are to come again, to be put with the dead letters, can never be done. Their bodies are not kept.
    doomed: HashMap<Box<str>, Box<str>>,
    doomed_order: VecDeque<Box<str>>,
    wakes_seen: usize,
    given_back: bool,
    /// Whether the queue is that of another worker, which may have begun what is in it.
    of_another: bool,
}

/// A request that was settled, or a dead letter that was written.
#[derive(Debug)]
pub(super) struct Ended {
    message_id: Box<str>,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Settled(Settled),
    /// The dead-letter queue has it, or there is none.
    Buried,
    /// It could not be settled.
    Failed,
}

/// What comes to pass.
pub(super) enum Event {
    Ended(Ended),
    HoldOn,
}

impl<'poller> Settler<'poller> {
    pub(super) fn new(
        poller: &'poller RequestPoller,
        desk: &'poller Arc<dyn Desk>,
        acknowledger: Acknowledger,
    ) -> Self {
        Self {
            settings: &poller.settings,
            desk,
            instance: &poller.polling.instance,
            metrics: &poller.polling.metrics,
            acknowledger,
            recent: Recent::default(),
            held: Held::new(poller.polling.settings.visibility_timeout),
            pending: JoinSet::new(),
            payloads: HashMap::new(),
            doomed: HashMap::new(),
            doomed_order: VecDeque::new(),
            wakes_seen: 0,
            given_back: false,
            of_another: false,
        }
    }

    /// The same for the queue of another worker.
    pub(super) fn of_another(self) -> Self {
        Self { of_another: true, ..self }
    }

    /// # Errors
    /// `Unavailable` when something was given back, or is to come again to be put with the dead letters.
    pub(super) fn all_settled(&self) -> Result<(), BackendError> {
        if self.given_back || !self.doomed.is_empty() {
            let message = "not every request in the queue could be settled";
            return Err(BackendError::new(ErrorKind::Unavailable, "reap", message));
        }
        Ok(())
    }

    async fn handle_one(&mut self, mut arrived: Arrived) {
        let message = &arrived.message;
        let (Some(message_id), Some(receipt)) = (&message.message_id, &message.receipt_handle) else {
            tracing::error!("a received message has no id or no receipt");
            return;
        };
        let (message_id, receipt) = (Box::<str>::from(message_id.as_str()), receipt.clone());
        if self.held.holds(&message_id) {
            self.metrics.delivered("duplicate");
            return self.held.hold(&message_id, receipt, Instant::now());
        }
        if let Seen::Settled(receipt) = self.recent.look_up(&message_id, receipt.clone()) {
            self.metrics.delivered("duplicate");
            return self.acknowledger.delete(receipt).await;
        }
        if let Some(reason) = self.doomed.remove(&message_id) {
            self.doomed_order.retain(|doomed| *doomed != message_id);
            return self.bury(message_id, receipt, arrived.into_as_it_came().0, reason);
        }
        match arrived.payload.take() {
            Some(Payload::Failed(error)) => return self.leave_unread(&message_id, receipt, &error).await,
            Some(Payload::Malformed(reason)) => {
                self.metrics.malformed();
                tracing::warn!(
                    reason,
                    messaging.message.id = &*message_id,
                    "a message's payload cannot be read"
                );
                return self.bury(
                    message_id,
                    receipt,
                    arrived.message,
                    format!("malformed: {reason}").into(),
                );
            }
            payload => arrived.payload = payload,
        }
        let decoded = (self.settings.decode)(&arrived.message);
        // the dead letters get what came
        let (message, payload) = arrived.into_as_it_came();
        match decoded {
            Ok(ReceivedRequest::Arrival(arrival)) => {
                self.payloads.extend(payload.map(|payload| (message_id.clone(), payload)));
                self.hand_over(message_id, receipt, message, arrival).await;
            }
            Ok(ReceivedRequest::Own(instance)) => {
                // one that is another worker's does not go back: its sender sends another, and each return would count as a receive
                self.wakes_seen += usize::from(*instance == *self.instance.as_str());
                self.delete(&message_id, receipt).await;
            }
            Err(error) => {
                self.metrics.malformed();
                tracing::warn!(error = %error, messaging.message.id = &*message_id, "a message is no JSON-RPC message");
                self.bury(message_id, receipt, message, MALFORMED.into());
            }
        }
    }

    /// Gives back a message whose payload cannot be read now.
    async fn leave_unread(&mut self, message_id: &str, receipt: String, error: &BackendError) {
        tracing::warn!(%error, error.type = error.kind().as_str(), messaging.message.id = message_id, "a message's payload cannot be read now");
        self.metrics.receive_failed(error);
        self.given_back = true;
        self.acknowledger.release(receipt, LATER).await;
    }

    async fn hand_over(
        &mut self,
        message_id: Box<str>,
        receipt: String,
        message: Message,
        mut arrival: Arrival,
    ) {
        arrival.delivery.to_owner = self.settings.to_owner;
        if self.of_another {
            arrival.delivery.sent = UNIX_EPOCH;
        }
        let taken = self.desk.take(arrival);
        let mut settled = AssertUnwindSafe(taken.settled).catch_unwind();
        let outcome = match (&mut settled).now_or_never() {
            // the body is at hand now, and not kept for as long as a request takes
            Some(Ok(Settled::Dead(reason))) => return self.bury(message_id, receipt, message, reason),
            settled => settled.map(outcome_of),
        };
        self.held.hold(&message_id, receipt, Instant::now());
        if let Some(outcome) = outcome {
            return self.end(Ended { message_id, outcome }).await;
        }
        self.pending.spawn(async move {
            let outcome = outcome_of(settled.await);
            Ended { message_id, outcome }
        });
    }

    /// Puts a message with the dead letters and deletes it.
    fn bury(&mut self, message_id: Box<str>, receipt: String, message: Message, reason: Box<str>) {
        self.metrics.delivered("dead");
        let held_for = SystemTime::now().duration_since(crate::attributes::delivery_of(&message).sent);
        let age_s = held_for.unwrap_or_default().as_secs();
        tracing::warn!(messaging.message.id = &*message_id, reason, age_s, "a request can never be done");
        self.held.hold(&message_id, receipt, Instant::now());
        let letters = self.settings.dead_letters.clone();
        self.pending.spawn(async move {
            let outcome = match letters {
                None => {
                    tracing::warn!("there is no dead-letter queue: it is deleted");
                    Outcome::Buried
                }
                Some(letters) => match letters.take(&message, &reason).await {
                    Ok(()) => Outcome::Buried,
                    Err(error) => {
                        tracing::error!(error = %error, error.type = error.kind().as_str(), "it cannot be put into the dead-letter queue");
                        Outcome::Failed
                    }
                },
            };
            Ended { message_id, outcome }
        });
    }

    async fn end(&mut self, Ended { message_id, outcome }: Ended) {
        let Some(receipt) = self.held.release(&message_id) else {
            return tracing::error!(messaging.message.id = &*message_id, "a message was settled twice");
        };
        // a dead letter points to it for as long as it lies there
        let payload = self.payloads.remove(&message_id);
        match outcome {
            Outcome::Settled(Settled::Done) => {
                self.metrics.delivered("accepted");
                self.recent.settled(&message_id);
                self.acknowledger.delete_with(receipt, payload).await;
            }
            Outcome::Buried => self.delete(&message_id, receipt).await,
            Outcome::Settled(Settled::GiveBack(hidden_for)) => {
                self.metrics.delivered("busy");
                self.given_back = true;
                self.acknowledger.release(receipt, hidden_for).await;
            }
            Outcome::Settled(Settled::Dead(reason)) => {
                if self.doomed.len() >= DOOMED
                    && let Some(oldest) = self.doomed_order.pop_front()
                {
                    self.doomed.remove(&oldest);
                }
                self.doomed.insert(message_id.clone(), reason);
                self.doomed_order.push_back(message_id);
                self.acknowledger.release(receipt, Duration::ZERO).await;
            }
            Outcome::Failed => {
                self.given_back = true;
                self.acknowledger.release(receipt, LATER).await;
            }
        }
    }

    async fn delete(&mut self, message_id: &str, receipt: String) {
        self.recent.settled(message_id);
        self.acknowledger.delete(receipt).await;
    }
}

impl Settling for Settler<'_> {
    type Event = Event;

    /// Hands over a batch in the order in which it was sent.
    async fn handle(&mut self, batch: Vec<Arrived>) {
        for arrived in in_order(batch) {
            self.handle_one(arrived).await;
        }
        while self.pending.len() >= HELD
            && let Some(event) = self.next().await
        {
            self.on(event).await;
        }
    }

    fn is_settling(&self) -> bool {
        !self.pending.is_empty()
    }

    async fn next(&mut self) -> Option<Event> {
        let due = self.held.next_due();
        let hold_on = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = self.pending.join_next() => Some(Event::Ended(ended?.ok()?)),
            () = hold_on, if !self.pending.is_empty() => Some(Event::HoldOn),
        }
    }

    async fn on(&mut self, event: Event) {
        match event {
            Event::Ended(ended) => self.end(ended).await,
            Event::HoldOn => {
                for extension in self.held.extensions(Instant::now()) {
                    self.acknowledger.release(extension.receipt, extension.hidden_for).await;
                }
            }
        }
    }

    fn wakes_seen(&self) -> usize {
        self.wakes_seen
    }

    async fn finish(self) {
        self.acknowledger.finish().await;
    }
}

fn outcome_of(settled: std::thread::Result<Settled>) -> Outcome {
    settled.map_or(Outcome::Failed, Outcome::Settled)
}
