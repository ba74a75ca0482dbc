//! What a server writes: a JSON-RPC message a line, and whatever else it should not.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use proxy_core::{
    BackendMetrics, Backoff,
    backend::{Disposition, Event, Inbound, Inbox, Settlement},
    error::{BackendError, Delivery, ErrorKind},
    id::{RouteKey, WireId},
    lines::{Line, Lines, Outline},
    message::{Body, ErrorObject, Message, RequestId, Response, code},
};
use tokio::{
    io::AsyncRead,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{metrics::ChildMetrics, session::Session};

/// The delays until a message is delivered again for which there was no memory. Meanwhile the server's output is not read, which
/// holds it back.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// How long a server has to read that its request was too long.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Takes the lines of one server's output to the inbox.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) route: RouteKey,
    /// The id of the session's `initialize`, whose answer says that the server has started.
    pub(super) initialize: RequestId,
    /// Fires when that has come.
    pub(super) answered: CancellationToken,
    /// The way back.
    pub(super) session: Arc<Session>,
    pub(super) max_message: usize,
    pub(super) metrics: ChildMetrics,
    pub(super) transport: BackendMetrics,
}

impl Reader {
    /// Reads until the output ends.
    pub(super) async fn read(self, output: impl AsyncRead + Unpin) {
        let mut lines = Lines::new(output, self.max_message);
        let mut malformed = 0_u64;
        loop {
            match lines.next().await {
                Ok(Some(Line::Whole(bytes))) => {
                    let length = bytes.len();
                    match Body::parse(bytes.to_vec()) {
                        Ok(Body::Single(message)) => self.take(message).await,
                        Ok(Body::Batch(messages)) => {
                            for message in messages {
                                self.take(message).await;
                            }
                        }
                        Err(error) => {
                            self.metrics.malformed.inc();
                            self.session.malformed.store(true, Ordering::Relaxed);
                            malformed += 1;
                            self.note(malformed, length, &error);
                        }
                    }
                }
                Ok(Some(Line::TooLong(outline))) => self.refuse(&outline).await,
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(route = ?self.route, %error, "a server's output cannot be read");
                    return;
                }
            }
        }
    }

    /// Says once aloud, and then quietly, that a server writes what it must not (basic/transports, stdio).
    fn note(&self, count: u64, length: usize, error: &dyn std::error::Error) {
        let route = &self.route;
        if count == 1 {
            tracing::warn!(?route, length, %error, "a server wrote a line that is no message, which is skipped");
        } else {
            tracing::debug!(?route, length, count, %error, "a server wrote another line that is no message");
        }
    }

    async fn take(&self, message: Message) {
        if let Message::Response(response) = &message
            && response.id() == Some(&self.initialize)
        {
            self.answered.cancel();
        }
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        let mut message = message;
        loop {
            // an answer always has room
            let again = (!matches!(message, Message::Response(_))).then(|| message.clone());
            let disposition = self.deliver(Event::Message(message)).await;
            self.transport.delivered(disposition.as_str());
            match again {
                Some(again) if disposition == Disposition::Busy => message = again,
                _ => return,
            }
            sleep(backoff.next_delay()).await;
        }
    }

    /// Ends what a line over the limit would have ended, as far as it says what that is.
    async fn refuse(&self, line: &Outline) {
        let limit = self.max_message;
        tracing::warn!(route = ?self.route, limit, "a server wrote a line that is longer than max_message");
        self.metrics.malformed.inc();
        if let Some(id) = line.request_id() {
            let message = format!("the request is longer than the {limit} bytes of the worker's max_message");
            let error = ErrorObject::new(code::INVALID_REQUEST, &message, "too_large");
            let refusal = Response::error(Some(id), &error).into_text();
            if self.session.send(refusal, Instant::now() + REFUSAL_TIME).await.is_err() {
                tracing::debug!(route = ?self.route, "a server does not read that its request was too long");
            }
        }
        let answered = line.answered_id();
        let wire = answered.and_then(|id| id.as_string().and_then(|text| WireId::parse(text).ok()));
        if wire.is_some() {
            let message = format!("the server's answer is longer than the {limit} bytes of max_message");
            let error =
                BackendError::new(ErrorKind::TooLarge, "receive", message).with_delivery(Delivery::MaybeSent);
            self.fail(wire, error).await;
        }
    }

    /// Has an exchange end at once, or all of the session's.
    async fn fail(&self, wire: Option<WireId>, error: BackendError) {
        let disposition = self.deliver(Event::ExchangeFailed(wire, error)).await;
        tracing::trace!(disposition = disposition.as_str(), "told the core what became of a request");
    }

    async fn deliver(&self, event: Event) -> Disposition {
        hand_over(&*self.inbox, &self.route, event).await
    }
}

/// Hands something of this route to the inbox, and waits for what becomes of it.
pub(super) async fn hand_over(inbox: &dyn Inbox, route: &RouteKey, event: Event) -> Disposition {
    let route = Some(route.clone());
    let inbound = Inbound { route, peer: None, related: None, sequence: None, message_id: None, event };
    match inbox.deliver(inbound) {
        Settlement::Now(disposition) => disposition,
        Settlement::Later(settled) => settled.await,
    }
}
