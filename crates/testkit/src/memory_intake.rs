//! An intake without a transport: what clients send goes through queues in this process, what the worker sends back into boxes that
//! they read. The mirror of [`memory`](crate::memory).
//!
//! A [`MemoryTransport`] is the transport: tests build the intakes of one worker or several from it, and the clients, which speak as
//! our own proxy does or as a peer that knows none of our extensions. Failures are scripted through [`MemoryIntake`].

mod boxes;
mod client;
mod queue;
mod transport;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use proxy_core::{
    backend::Limits,
    error::{BackendError, ErrorKind},
    id::{InstanceId, RemoteSession, RouteKey},
    intake::{Arrival, Desk, Intake, Receipt, Reply, ReplyTo, Stopping},
};
use tokio::sync::watch;

use self::{boxes::Boxes, queue::Queue, transport::envelope_of};
pub use self::{client::MemoryClient, transport::MemoryTransport};
use crate::{
    counted::{Counted, wait_for},
    intake_contract::Received,
};

/// The largest message, as on SQS: 1 MiB.
const MESSAGE_BYTES: usize = 1024 * 1024;

/// An [`Intake`] over queues in this process.
#[derive(Debug)]
pub struct MemoryIntake {
    transport: MemoryTransport,
    instance: InstanceId,
    /// The address that only this worker reads.
    owner: Option<Box<str>>,
    has_receipts: bool,
    failures: Mutex<VecDeque<BackendError>>,
    is_ready: watch::Sender<bool>,
    are_replies_held: watch::Sender<bool>,
    /// How many replies wait for being released.
    held: watch::Sender<usize>,
    closed: watch::Sender<Vec<RemoteSession>>,
}

impl MemoryIntake {
    fn new(transport: MemoryTransport, instance: InstanceId, has_receipts: bool, in_fleet: bool) -> Self {
        let owner = in_fleet.then(|| transport.add_worker(&instance));
        Self {
            transport,
            instance,
            owner,
            has_receipts,
            failures: Mutex::default(),
            is_ready: watch::Sender::new(true),
            are_replies_held: watch::Sender::new(false),
            held: watch::Sender::new(0),
            closed: watch::Sender::default(),
        }
    }

    /// Lets the next reply fail with this error. Several calls fail as many replies.
    pub fn fail_next_reply(&self, error: BackendError) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push_back(error);
    }

    /// Keeps every reply pending from now on, until [`Self::release_replies`].
    pub fn hold_replies(&self) {
        self.are_replies_held.send_replace(true);
    }

    /// Lets pending replies, and later ones, go on.
    pub fn release_replies(&self) {
        self.are_replies_held.send_replace(false);
    }

    /// Waits until at least this many replies are held.
    pub async fn wait_for_held_replies(&self, count: usize) {
        wait_for(&self.held, |held| *held >= count).await;
    }

    /// Whether [`Intake::check`] succeeds from now on.
    pub fn set_ready(&self, is_ready: bool) {
        self.is_ready.send_replace(is_ready);
    }

    /// The sessions that were closed, in order.
    pub fn closed(&self) -> Vec<RemoteSession> {
        self.closed.borrow().clone()
    }

    /// Waits until at least this many sessions were closed.
    pub async fn wait_for_closed(&self, count: usize) {
        wait_for(&self.closed, |closed| closed.len() >= count).await;
    }

    async fn wait_while_held(&self) {
        if !*self.are_replies_held.borrow() {
            return;
        }
        let _counted = Counted::new(&self.held);
        wait_for(&self.are_replies_held, |are_held| !*are_held).await;
    }

    fn boxes(&self) -> &Boxes {
        self.transport.boxes()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Intake for MemoryIntake {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn limits(&self) -> Limits {
        Limits { message_bytes: MESSAGE_BYTES }
    }

    fn has_receipts(&self) -> bool {
        self.has_receipts
    }

    fn neighbourhood(&self) -> Vec<String> {
        vec![format!("{}*", boxes::PREFIX)]
    }

    fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    fn owner_of(&self, session: &RemoteSession) -> Option<Box<str>> {
        let route = RouteKey::parse(session.as_str()).ok()?;
        (self.owner.is_some() && !route.belongs_to(&self.instance)).then(|| transport::owner_of(&route))
    }

    async fn check(&self) -> Result<(), BackendError> {
        if *self.is_ready.borrow() { Ok(()) } else { Err(unavailable("check", "the transport is not ready")) }
    }

    async fn run(&self, desk: Arc<dyn Desk>, stopping: Stopping) -> Result<(), BackendError> {
        let tell = |receipt: &Receipt| {
            if self.has_receipts {
                self.transport.tell(receipt);
            }
        };
        let shared = self.transport.shared().pump(&*desk, &tell, &stopping, false, self.transport.dead());
        let Some(own) = self.owner.as_deref().and_then(|owner| self.transport.queue(owner)) else {
            shared.await;
            return Ok(());
        };
        let own = own.pump(&*desk, &tell, &stopping, true, self.transport.dead());
        tokio::join!(shared, own);
        Ok(())
    }

    async fn reply(&self, reply: Reply) -> Result<(), BackendError> {
        let size = reply.message.as_str().len();
        if size > MESSAGE_BYTES {
            let message =
                format!("the message has {size} bytes, and the transport takes at most {MESSAGE_BYTES}");
            return Err(BackendError::new(ErrorKind::TooLarge, "reply", message));
        }
        self.wait_while_held().await;
        if let Some(error) = self.failures.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
            return Err(error);
        }
        let Reply { session, to, request, context, deadline, message, .. } = reply;
        let ReplyTo::Address(address) = request.unwrap_or(to) else {
            return Err(BackendError::new(ErrorKind::Config, "reply", "this transport has no responses"));
        };
        let received = Received {
            session: session.map(|session| session.as_str().to_owned()),
            context: context.map(|context| context.to_json()),
            body: message.into_text(),
            place: Some(address),
        };
        self.boxes().put(received, deadline).await
    }

    async fn forward(&self, owner: &str, arrival: &Arrival) -> Result<(), BackendError> {
        let Some(queue) = self.transport.queue(owner) else {
            return Err(BackendError::new(ErrorKind::SessionGone, "forward", "that worker is no more"));
        };
        queue.put(envelope_of(arrival));
        Ok(())
    }

    async fn close(&self, session: &RemoteSession) {
        self.closed.send_modify(|closed| closed.push(session.clone()));
    }
}

fn unavailable(operation: &'static str, message: &str) -> BackendError {
    BackendError::new(ErrorKind::Unavailable, operation, message)
}
