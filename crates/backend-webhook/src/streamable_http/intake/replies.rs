//! The way of each message to its client: the response of its request, the standalone stream, or the webhook.

use std::{sync::Arc, time::Duration};

use proxy_core::{
    ReplyAddress,
    backend::Limits,
    error::{BackendError, ErrorKind},
    intake::{Reply, ReplyTo},
    message::Message,
};
use tokio::time::{Instant, sleep_until};

use super::{
    responses::{Open, Responses},
    sessions::{NotKept, Sessions},
    streams::Outgoing,
};
use crate::intake::{Callbacks, Posted, too_large};

/// How long the answer that is posted waits for what comes before it on the response to be read.
const DRAINED_WITHIN: Duration = Duration::from_secs(1);

/// How long a client that knows none of our extensions has, from the last message on the response, to read what is there before the answer is
/// posted. Our own proxy orders them by itself.
const READ_WITHIN: Duration = Duration::from_millis(100);

/// Carries messages to clients.
#[derive(Debug)]
pub(super) struct Replies {
    pub(super) responses: Arc<Responses>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) callbacks: Callbacks,
    pub(super) limits: Limits,
    /// The longest that a request may take.
    pub(super) longest: Duration,
    /// Whether responses carry answers only.
    pub(super) json: bool,
}

impl Replies {
    /// Carries one.
    ///
    /// # Errors
    /// `Unavailable` where the client is gone, or too slow, and named no webhook.
    pub(super) async fn carry(&self, reply: &Reply) -> Result<(), BackendError> {
        too_large(&reply.message, self.limits)?;
        let deadline = reply.deadline.min(Instant::now() + self.longest);
        let posted = url_of(reply).map(|url| Posted {
            url,
            session: reply.session.as_ref(),
            context: reply.context.as_ref(),
            message: &reply.message,
            deadline,
        });
        let number = self.number_of(reply);
        let open = number.and_then(|number| self.responses.get(number));
        match (&reply.message, number) {
            (Message::Response(_), number) => {
                let result = self.answer(reply, open, posted, deadline).await;
                if let (Ok(()), Some(number)) = (&result, number) {
                    self.responses.end(number);
                }
                result
            }
            (Message::Request(_) | Message::Notification(_), _) => {
                self.beside(reply, open, posted, deadline).await
            }
        }
    }

    /// Carries an answer.
    ///
    /// That of a webhook tool is posted once: its response is still open, and takes it where the webhook does not. It is posted when what
    /// belongs to its call has left by the response: asyncmcp's clients take an answer for the end of its call.
    async fn answer(
        &self,
        reply: &Reply,
        open: Option<Open>,
        posted: Option<Posted<'_>>,
        deadline: Instant,
    ) -> Result<(), BackendError> {
        if let (Some(Open { by_webhook: true, writer, .. }), Some(posted)) = (&open, &posted) {
            writer.drained(deadline.min(Instant::now() + DRAINED_WITHIN)).await;
            if let Some(last) = writer.last_put().filter(|_| reply.context.is_none()) {
                sleep_until(deadline.min(last + READ_WITHIN)).await;
            }
            match self.callbacks.try_once(posted).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::debug!(
                    error.r#type = error.kind().as_str(), %error,
                    "an answer goes on the response, since the webhook did not take it"
                ),
            }
        }
        if let Some(open) = open
            && open.writer.put(outgoing(reply), deadline).await.is_ok()
        {
            return Ok(());
        }
        match posted {
            Some(posted) => self.callbacks.deliver(&posted).await,
            None => Err(gone()),
        }
    }

    /// Carries a notification or a request of the server's.
    async fn beside(
        &self,
        reply: &Reply,
        open: Option<Open>,
        posted: Option<Posted<'_>>,
        deadline: Instant,
    ) -> Result<(), BackendError> {
        if let Some(open) = open.filter(|_| !self.json)
            && open.writer.put(outgoing(reply), deadline).await.is_ok()
        {
            return Ok(());
        }
        let session = reply.session.as_ref().ok_or_else(gone)?;
        let mut standalone = self.sessions.standalone(session);
        loop {
            if let Some(standalone) = standalone
                && standalone.put(outgoing(reply), deadline).await.is_ok()
            {
                return Ok(());
            }
            if let Some(posted) = posted {
                return self.callbacks.deliver(&posted).await;
            }
            standalone = match self.sessions.keep(session, outgoing(reply)) {
                Ok(()) => return Ok(()),
                Err(NotKept::Read(opened)) if Instant::now() < deadline => Some(opened),
                Err(NotKept::Read(_) | NotKept::NoRoom) => return Err(gone()),
            };
        }
    }

    /// The response that a message belongs to: an `initialize` that named a webhook is known by its session.
    fn number_of(&self, reply: &Reply) -> Option<u64> {
        match reply.request.as_ref()? {
            ReplyTo::Response(number) => Some(*number),
            ReplyTo::Address(_) => self.sessions.initialize_of(reply.session.as_ref()?),
        }
    }
}

/// The webhook that the session's `initialize` named.
fn url_of(reply: &Reply) -> Option<&str> {
    match &reply.to {
        ReplyTo::Address(ReplyAddress::Url(url)) => Some(url),
        ReplyTo::Address(ReplyAddress::Sqs(_) | ReplyAddress::Sns(_)) | ReplyTo::Response(_) => None,
    }
}

fn outgoing(reply: &Reply) -> Outgoing {
    Outgoing {
        text: reply.message.as_str().to_owned(),
        is_answer: matches!(reply.message, Message::Response(_)),
        is_error: matches!(&reply.message, Message::Response(response) if response.is_error()),
        is_expendable: matches!(reply.message, Message::Notification(_)),
        context: reply.context.clone(),
    }
}

fn gone() -> BackendError {
    let message = "the client has gone away, or reads too slowly, and named no webhook";
    BackendError::new(ErrorKind::Unavailable, "reply", message)
}
