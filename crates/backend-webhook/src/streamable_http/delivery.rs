//! Handing over what came on a stream.

use std::{sync::Arc, time::Duration};

use proxy_core::{
    BackendMetrics, Backoff,
    backend::{Disposition, Event, Inbound, Inbox, Peer, Settlement},
    error::BackendError,
    id::{RouteKey, WireId},
    message::{Message, MessageError, RequestId},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::streams::Response;

/// The delays until a message is delivered again for which there was no memory.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The way to the inbox.
#[derive(Debug)]
pub(super) struct Delivery {
    inbox: Arc<dyn Inbox>,
    metrics: BackendMetrics,
}

/// Whose stream a message came on.
#[derive(Debug)]
pub(super) struct Origin {
    /// The route that the stream belongs to.
    pub(super) route: RouteKey,
    /// The request whose response the stream is; `None` for the standalone stream.
    pub(super) wire: Option<WireId>,
    /// That response.
    pub(super) response: Option<Arc<Response>>,
    /// What the server said of itself in the head of its answer to `initialize`.
    pub(super) peer: Option<Peer>,
}

impl Delivery {
    pub(super) fn new(inbox: Arc<dyn Inbox>, metrics: BackendMetrics) -> Self {
        Self { inbox, metrics }
    }

    /// Hands a message over and waits for what becomes of it. A stream cannot give a message back: while there is no memory for
    /// it, it is delivered again and again, and its stream is not read, which holds the server back.
    ///
    /// Gives up once `stop` fires. Returns the id of the request that it answers, if it is an answer.
    pub(super) async fn deliver(
        &self,
        origin: &Origin,
        text: &str,
        stop: &CancellationToken,
    ) -> Result<Option<Answer>, MessageError> {
        let mut message = Message::parse(text).inspect_err(|_| self.metrics.malformed())?;
        let mut answer = Answer::of(&message, origin.wire.as_ref());
        let named =
            origin.wire.as_ref().filter(|_| answer == Some(Answer::Nameless)).map(|wire| named(text, wire));
        let text = match &named {
            Some(named) => {
                message = Message::parse(named.as_str())?;
                answer = Some(Answer::Awaited);
                named
            }
            None => text,
        };
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        loop {
            let related = origin.wire.as_ref().filter(|_| is_related(&message)).cloned();
            let inbound = Inbound {
                route: Some(origin.route.clone()),
                peer: origin.peer.clone(),
                related,
                sequence: None,
                message_id: None,
                event: Event::Message(message),
            };
            let disposition = self.settle(inbound).await;
            self.metrics.delivered(disposition.as_str());
            if disposition != Disposition::Busy {
                return Ok(answer);
            }
            let waited = stop.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await;
            if waited.is_none() {
                return Ok(answer);
            }
            message = Message::parse(text)?;
        }
    }

    /// Has an exchange end at once, or all of the route's.
    pub(super) async fn fail(&self, route: &RouteKey, wire: Option<WireId>, error: BackendError) {
        self.report(route, Event::ExchangeFailed(wire, error)).await;
    }

    /// Says that the server does not know a session any more.
    pub(super) async fn gone(&self, route: &RouteKey, error: BackendError) {
        self.report(route, Event::SessionGone(error)).await;
    }

    async fn report(&self, route: &RouteKey, event: Event) {
        let route = Some(route.clone());
        let inbound = Inbound { route, peer: None, related: None, sequence: None, message_id: None, event };
        let disposition = self.settle(inbound).await;
        tracing::trace!(
            disposition = disposition.as_str(),
            "told the core what became of a session or exchange"
        );
    }

    async fn settle(&self, inbound: Inbound) -> Disposition {
        match self.inbox.deliver(inbound) {
            Settlement::Now(disposition) => disposition,
            Settlement::Later(settled) => settled.await,
        }
    }
}

/// What answer a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The one to the request whose response it came on.
    Awaited,
    /// An error that names no request of ours. On the response to a request it is about that request.
    Nameless,
    /// One to another request.
    Other,
}

impl Answer {
    fn of(message: &Message, wire: Option<&WireId>) -> Option<Self> {
        let Message::Response(response) = message else { return None };
        let named = response.id().and_then(|id| id.as_string()).and_then(|id| WireId::parse(id).ok());
        Some(match named {
            Some(named) if Some(&named) == wire => Self::Awaited,
            None if response.is_error() => Self::Nameless,
            Some(_) | None => Self::Other,
        })
    }
}

/// The error with the id of the request on whose response it came.
fn named(text: &str, wire: &WireId) -> String {
    #[derive(Deserialize)]
    struct Nameless<'text> {
        #[serde(borrow)]
        error: &'text RawValue,
    }
    let error = serde_json::from_str::<Nameless<'_>>(text).map_or("{}", |nameless| nameless.error.get());
    let id = RequestId::string(wire.to_string()).to_json();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

/// Whether it matters on which stream a message came: an answer names its request, and progress its token.
fn is_related(message: &Message) -> bool {
    match message {
        Message::Request(_) => true,
        Message::Notification(notification) => notification.method() != "notifications/progress",
        Message::Response(_) => false,
    }
}
