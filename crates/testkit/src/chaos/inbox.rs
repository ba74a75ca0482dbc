//! Chaos on the way back.

use std::{sync::Arc, time::Duration};

use proxy_core::backend::{Disposition, Event, Inbound, Inbox, Settlement};
use tokio::time::sleep;

use super::{Chaos, Fate};

/// An [`Inbox`] to which messages come late, twice or not at all. News of failures come as they are.
///
/// What is late is settled later: a backend that awaits those settlements off its receive loop lets messages overtake each other.
#[derive(Debug)]
pub struct ChaosInbox {
    inner: Arc<dyn Inbox>,
    chaos: Chaos,
}

impl ChaosInbox {
    pub(super) fn new(inner: Arc<dyn Inbox>, chaos: Chaos) -> Self {
        Self { inner, chaos }
    }

    fn deliver_again_later(&self, copy: Inbound, later: Duration) {
        let inner = Arc::clone(&self.inner);
        self.chaos.copies.spawn(async move {
            sleep(later).await;
            let disposition = settled(inner.deliver(copy)).await;
            tracing::trace!(disposition = disposition.as_str(), "a duplicate was delivered");
        });
    }
}

#[deny(clippy::missing_trait_methods)]
impl Inbox for ChaosInbox {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        let Some(copy) = copy(&inbound) else { return self.inner.deliver(inbound) };
        let (fate, delay) = self.chaos.received();
        match fate {
            Fate::IsLost => return Settlement::Now(Disposition::Accepted),
            Fate::ComesTwice(later) => self.deliver_again_later(copy, later),
            Fate::Passes | Fate::NotSent | Fate::MaybeSent { .. } => {}
        }
        if delay.is_zero() {
            return self.inner.deliver(inbound);
        }
        let inner = Arc::clone(&self.inner);
        Settlement::Later(Box::pin(async move {
            sleep(delay).await;
            settled(inner.deliver(inbound)).await
        }))
    }
}

async fn settled(settlement: Settlement) -> Disposition {
    match settlement {
        Settlement::Now(disposition) => disposition,
        Settlement::Later(disposition) => disposition.await,
    }
}

/// The same message once more; `None` for what is no message.
fn copy(inbound: &Inbound) -> Option<Inbound> {
    let Event::Message(message) = &inbound.event else { return None };
    Some(Inbound {
        route: inbound.route.clone(),
        peer: inbound.peer.clone(),
        related: inbound.related.clone(),
        sequence: inbound.sequence,
        message_id: inbound.message_id.clone(),
        event: Event::Message(message.clone()),
    })
}
