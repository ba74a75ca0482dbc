//! A queue from the far end, acknowledged by disposition: what real backends have in their transport.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proxy_core::{
    backend::{Disposition, Event, Inbound, Inbox, Peer, Settlement},
    id::{RemoteSession, RouteKey},
    message::Message,
};
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::contract::Returned;

/// How many messages the queue holds before whoever puts more there waits.
const CAPACITY: usize = 10_000;

/// How long what was given back stays hidden.
const HIDDEN: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct ReturnQueue {
    messages: Mutex<Messages>,
    /// There is something to receive.
    arrived: Notify,
    /// There may be room.
    removed: Notify,
}

#[derive(Debug, Default)]
struct Messages {
    next: u64,
    stored: BTreeMap<u64, Stored>,
}

#[derive(Debug)]
struct Stored {
    returned: Returned,
    /// When it can be received; `None` while it is in hand.
    visible_at: Option<Instant>,
}

impl ReturnQueue {
    pub(super) async fn put(&self, returned: Returned) {
        loop {
            {
                let mut messages = self.lock();
                if messages.stored.len() < CAPACITY {
                    let number = messages.next;
                    messages.next += 1;
                    messages.stored.insert(number, Stored { returned, visible_at: Some(Instant::now()) });
                    break;
                }
            }
            self.removed.notified().await;
        }
        self.arrived.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().stored.len()
    }

    /// Receives, hands over and acknowledges until shutdown, and then until nothing is in hand.
    pub(super) async fn pump(&self, inbox: &dyn Inbox, shutdown: &CancellationToken) {
        let mut later = JoinSet::new();
        while !shutdown.is_cancelled() || !later.is_empty() {
            let next_at = if shutdown.is_cancelled() {
                None
            } else {
                for (number, returned) in self.receive() {
                    match decode(returned).map(|inbound| inbox.deliver(inbound)) {
                        Some(Settlement::Now(disposition)) => self.settle(number, disposition),
                        Some(Settlement::Later(disposition)) => {
                            later.spawn(async move { (number, disposition.await) });
                        }
                        None => self.settle(number, Disposition::Unroutable),
                    }
                }
                self.next_at()
            };
            let visible = async {
                match next_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled(), if !shutdown.is_cancelled() => {}
                Some(settled) = later.join_next() => match settled {
                    Ok((number, disposition)) => self.settle(number, disposition),
                    Err(error) => tracing::error!(%error, "a settlement failed"),
                },
                () = self.arrived.notified() => {}
                () = visible => {}
            }
        }
    }

    /// Takes what can be received into hand.
    fn receive(&self) -> Vec<(u64, Returned)> {
        let now = Instant::now();
        let mut messages = self.lock();
        let visible =
            messages.stored.iter_mut().filter(|(_, stored)| stored.visible_at.is_some_and(|at| at <= now));
        visible
            .map(|(number, stored)| {
                stored.visible_at = None;
                (*number, stored.returned.clone())
            })
            .collect()
    }

    fn next_at(&self) -> Option<Instant> {
        self.lock().stored.values().filter_map(|stored| stored.visible_at).min()
    }

    fn settle(&self, number: u64, disposition: Disposition) {
        match disposition {
            Disposition::Accepted | Disposition::Unroutable => {
                self.lock().stored.remove(&number);
                self.removed.notify_one();
            }
            Disposition::Busy | Disposition::Foreign => {
                if let Some(stored) = self.lock().stored.get_mut(&number) {
                    stored.visible_at = Some(Instant::now() + HIDDEN);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the inbox takes; `None` for what is no message.
fn decode(returned: Returned) -> Option<Inbound> {
    let Returned { route, related, sequence, body } = returned;
    let key = route.as_deref().and_then(|text| RouteKey::parse(text).ok());
    let own = route.filter(|_| key.is_none()).and_then(|text| RemoteSession::parse(&text).ok());
    match Message::parse(body) {
        Ok(message) => Some(Inbound {
            route: key,
            peer: own.map(|own| Peer { session: Some(own), ..Peer::default() }),
            related,
            sequence,
            message_id: None,
            event: Event::Message(message),
        }),
        Err(error) => {
            tracing::warn!(%error, "a message that is no JSON-RPC message is removed");
            None
        }
    }
}
