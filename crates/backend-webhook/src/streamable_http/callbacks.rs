//! The inbox of the callback endpoint: an answer that came there is not waited for on its own response any more.

use std::sync::Arc;

use futures_util::FutureExt as _;
use proxy_core::{
    backend::{Disposition, Event, Inbound, Inbox, Settlement},
    id::WireId,
    message::Message,
};

use super::streams::Streams;

/// Hands over, and ends the silent stream of what was answered.
#[derive(Debug)]
pub(super) struct CallbackInbox {
    inbox: Arc<dyn Inbox>,
    streams: Arc<Streams>,
}

impl CallbackInbox {
    pub(super) fn new(inbox: Arc<dyn Inbox>, streams: Arc<Streams>) -> Self {
        Self { inbox, streams }
    }
}

impl Inbox for CallbackInbox {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        let Some(answered) = answered(&inbound) else { return self.inbox.deliver(inbound) };
        if let Some(response) = self.streams.talkative(&answered) {
            let (inbox, streams) = (Arc::clone(&self.inbox), Arc::clone(&self.streams));
            let held = async move {
                // progress and log messages travel by another connection, and belong before the answer
                response.quiet().await;
                let disposition = match inbox.deliver(inbound) {
                    Settlement::Now(disposition) => disposition,
                    Settlement::Later(settled) => settled.await,
                };
                note(&streams, &answered, disposition);
                disposition
            };
            return Settlement::Later(held.boxed());
        }
        match self.inbox.deliver(inbound) {
            Settlement::Now(disposition) => {
                note(&self.streams, &answered, disposition);
                Settlement::Now(disposition)
            }
            Settlement::Later(settled) => {
                let streams = Arc::clone(&self.streams);
                let noted = settled.inspect(move |disposition| note(&streams, &answered, *disposition));
                Settlement::Later(noted.boxed())
            }
        }
    }
}

/// Only what the session took ends the wait: anybody's claim would not do, though the path is secret.
fn note(streams: &Streams, answered: &WireId, disposition: Disposition) {
    if disposition == Disposition::Accepted {
        streams.answered(answered);
    }
}

fn answered(inbound: &Inbound) -> Option<WireId> {
    let Event::Message(Message::Response(response)) = &inbound.event else { return None };
    WireId::parse(response.id()?.as_string()?).ok()
}
