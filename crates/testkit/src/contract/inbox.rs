//! An inbox that does what the rule says, and remembers.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use proxy_core::{
    backend::{Disposition, Event, Inbound, Inbox, Settlement},
    id::{RemoteSession, RouteKey, WireId},
};
use tokio::{sync::watch, time::timeout};

/// How long anything may take: longer than a queue hides a message that was given back.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) route: Option<RouteKey>,
    /// The session of the far end's own that it names.
    pub(super) session: Option<RemoteSession>,
    pub(super) related: Option<WireId>,
    pub(super) sequence: Option<u64>,
    /// The JSON text; empty for news that is no message.
    pub(super) text: String,
}

/// Settles as it was told, and then everything as accepted.
#[derive(Debug, Default)]
pub(super) struct ScriptedInbox {
    next: Mutex<VecDeque<Settlement>>,
    delivered: watch::Sender<Vec<Delivered>>,
}

impl ScriptedInbox {
    /// Settles the next delivery so.
    pub(super) fn settle_next(&self, settlement: Settlement) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).push_back(settlement);
    }

    /// Waits until this much was delivered, and returns all that was.
    pub(super) async fn wait_for(&self, count: usize) -> Vec<Delivered> {
        let mut delivered = self.delivered.subscribe();
        let waiting = delivered.wait_for(|delivered| delivered.len() >= count);
        let outcome = timeout(PATIENCE, waiting).await.map(|arrived| arrived.map(|arrived| arrived.clone()));
        match outcome {
            Ok(Ok(delivered)) => delivered,
            _ => panic!("{count} deliveries did not come within {PATIENCE:?}: {:?}", self.texts()),
        }
    }

    /// The texts of all that was delivered.
    pub(super) fn texts(&self) -> Vec<String> {
        self.delivered.borrow().iter().map(|delivered| delivered.text.clone()).collect()
    }
}

impl Inbox for ScriptedInbox {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        let Inbound { route, related, sequence, event, peer, message_id: _ } = inbound;
        let session = peer.and_then(|peer| peer.session);
        let text = match event {
            Event::Message(message) => message.into_text(),
            Event::ExchangeFailed(..) | Event::SessionGone(_) => String::new(),
        };
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        self.delivered.send_modify(|all| all.push(Delivered { route, session, related, sequence, text }));
        next.unwrap_or(Settlement::Now(Disposition::Accepted))
    }
}
