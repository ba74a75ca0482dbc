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
            // its response may end while the answer is held back
            self.streams.note_callback();
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

#[cfg(test)]
mod tests {
    use proxy_core::id::{InstanceId, RouteKey};

    use super::*;

    #[derive(Debug)]
    struct Accepting;

    impl Inbox for Accepting {
        fn deliver(&self, _: Inbound) -> Settlement {
            Settlement::Now(Disposition::Accepted)
        }
    }

    #[test]
    fn an_answer_that_is_held_back_counts_as_come_though_its_response_ends_meanwhile() {
        let streams = Arc::new(Streams::default());
        let inbox = CallbackInbox::new(Arc::new(Accepting), Arc::clone(&streams));
        let wire = WireId::new(RouteKey::random(&InstanceId::random()), 1);
        let waiting = streams.wait_for(wire.clone(), true);
        let answer = format!(r#"{{"jsonrpc":"2.0","id":"{wire}","result":{{}}}}"#);
        let inbound = Inbound {
            route: Some(wire.route().clone()),
            peer: None,
            related: None,
            sequence: None,
            message_id: None,
            event: Event::Message(Message::parse(answer).unwrap()),
        };
        let settlement = inbox.deliver(inbound);
        assert!(matches!(settlement, Settlement::Later(_)));
        assert!(streams.called_back());
        assert!(!waiting.response.over.is_cancelled(), "what belongs before it may still come");
    }
}
