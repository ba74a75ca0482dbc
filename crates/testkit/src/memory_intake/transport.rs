//! What lies between the clients and the workers: a queue that all workers read, one each of their own, and the clients' boxes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proxy_core::{
    ProxyContext, ReplyAddress,
    id::{InstanceId, RouteKey},
    intake::{Arrival, ArrivalEvent, Receipt, ReplyTo},
};
use tokio::sync::Notify;

use super::{MemoryClient, MemoryIntake, Queue, boxes::Boxes};
use crate::intake_contract::{DeadLetter, Envelope};

/// What the addresses of workers begin with.
const OWNERS: &str = "https://sqs.memory.test/000000000000/workers-";

/// A transport in this process. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct MemoryTransport {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    shared: Arc<Queue>,
    owned: Mutex<BTreeMap<Box<str>, Arc<Queue>>>,
    dead: Mutex<Vec<DeadLetter>>,
    boxes: Boxes,
    receipts: Mutex<VecDeque<Receipt>>,
    told: Notify,
}

impl MemoryTransport {
    /// The intake of the only worker.
    pub fn intake(&self) -> Arc<MemoryIntake> {
        Arc::new(MemoryIntake::new(self.clone(), InstanceId::random(), false, false))
    }

    /// The intake of the only worker, whose clients are told at once what became of what they sent.
    pub fn intake_with_receipts(&self) -> Arc<MemoryIntake> {
        Arc::new(MemoryIntake::new(self.clone(), InstanceId::random(), true, false))
    }

    /// The intake of one worker among several: it has an address of its own.
    pub fn intake_of(&self, instance: InstanceId) -> Arc<MemoryIntake> {
        Arc::new(MemoryIntake::new(self.clone(), instance, false, true))
    }

    /// A client that knows none of our extensions.
    pub fn peer(&self) -> MemoryClient {
        MemoryClient::new(self.clone(), self.inner.boxes.open(), false)
    }

    /// A client that speaks as our own proxy does.
    pub fn proxy(&self) -> MemoryClient {
        MemoryClient::new(self.clone(), self.inner.boxes.open(), true)
    }

    /// Sends anything to the workers, or to the one that it names.
    pub fn put(&self, envelope: Envelope) {
        match &envelope.owner {
            Some(owner) => {
                if let Some(queue) = self.queue(owner) {
                    queue.put(envelope);
                }
            }
            None => self.inner.shared.put(envelope),
        }
    }

    /// How many messages are not acknowledged, in all queues.
    pub fn unacknowledged(&self) -> usize {
        self.inner.shared.len() + self.owned().values().map(|queue| queue.len()).sum::<usize>()
    }

    /// Waits until this many messages or fewer are not acknowledged in the queue that all read.
    pub async fn wait_for_unacknowledged(&self, count: usize) {
        self.inner.shared.wait_for_len(count).await;
    }

    /// Gives out again at once what is in hand or hidden.
    pub fn redeliver(&self) {
        self.inner.shared.redeliver();
        self.owned().values().for_each(|queue| queue.redeliver());
    }

    /// What was put out of the way.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.dead().lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a worker's own address away, as the reaping of a dead worker's queue does.
    pub fn remove_worker(&self, owner: &str) {
        self.owned().remove(owner);
    }

    /// Waits for what the next client was told at once.
    pub async fn receipt(&self) -> Receipt {
        loop {
            let told = self.inner.told.notified();
            if let Some(receipt) = self.receipts().pop_front() {
                return receipt;
            }
            told.await;
        }
    }

    /// From now on nothing can be sent back.
    pub fn go_down(&self) {
        self.inner.boxes.go_down();
    }

    pub(super) fn add_worker(&self, instance: &InstanceId) -> Box<str> {
        let owner: Box<str> = format!("{OWNERS}{}", instance.as_str()).into();
        self.owned().entry(owner.clone()).or_default();
        owner
    }

    pub(super) fn shared(&self) -> &Queue {
        &self.inner.shared
    }

    pub(super) fn queue(&self, owner: &str) -> Option<Arc<Queue>> {
        self.owned().get(owner).cloned()
    }

    pub(super) fn dead(&self) -> &Mutex<Vec<DeadLetter>> {
        &self.inner.dead
    }

    pub(super) fn boxes(&self) -> &Boxes {
        &self.inner.boxes
    }

    pub(super) fn tell(&self, receipt: &Receipt) {
        self.receipts().push_back(receipt.clone());
        self.inner.told.notify_one();
    }

    fn receipts(&self) -> MutexGuard<'_, VecDeque<Receipt>> {
        self.inner.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owned(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Arc<Queue>>> {
        self.inner.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of the worker that made up this session id.
pub(super) fn owner_of(route: &RouteKey) -> Box<str> {
    format!("{OWNERS}{}", route.instance().as_str()).into()
}

/// What arrived, as it is passed on.
pub(super) fn envelope_of(arrival: &Arrival) -> Envelope {
    let mut context = arrival.context.clone();
    let body = match &arrival.event {
        ArrivalEvent::Message(message) => message.as_str().to_owned(),
        ArrivalEvent::End => {
            context.get_or_insert_default().end = true;
            ProxyContext::END.to_owned()
        }
    };
    let reply: Option<ReplyAddress> = match &arrival.reply {
        Some(ReplyTo::Address(address)) => Some(address.clone()),
        Some(ReplyTo::Response(_)) | None => None,
    };
    Envelope {
        owner: None,
        session: arrival.session.as_ref().map(|session| session.as_str().to_owned()),
        client_id: arrival.client_id.as_deref().map(str::to_owned),
        version: arrival.version.as_deref().map(str::to_owned),
        reply,
        context: context.map(|context| context.to_json()),
        body,
    }
}
