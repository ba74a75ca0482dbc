//! The way back to one client: what goes beside a message, and what a failed send costs.

use std::{sync::Arc, time::Duration};

use proxy_core::{
    AddressRules, ProxyContext,
    error::{BackendError, ErrorKind},
    id::RemoteSession,
    intake::{Arrival, Intake, Refused, Reply, ReplyTo},
    message::{Message, Response},
};
use tokio::time::Instant;

use crate::{metrics::Metrics, notice::Notice};

/// How long an answer is tried to be sent: as long as asyncmcp's clients wait for one, and our proxy by default.
pub(crate) const ANSWER_TIME: Duration = Duration::from_mins(5);

/// How long everything else is tried to be sent. What comes after it in its exchange waits for that.
pub(crate) const TELL_TIME: Duration = Duration::from_secs(20);

/// Writes to one client.
#[derive(Debug, Clone)]
pub(crate) struct Courier {
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) metrics: Metrics,
    /// The session; `None` where none was opened.
    pub(crate) session: Option<RemoteSession>,
    /// Where to.
    pub(crate) to: ReplyTo,
    /// Whether the peer knows our extensions.
    pub(crate) has_context: bool,
    /// The large payloads that the peer announced that it reads.
    pub(crate) payloads: Option<Box<str>>,
}

impl Courier {
    /// Sends a message. `request`: where the request that it belongs to wants its answer. `context` is left out for peers that do not know
    /// it.
    pub(crate) async fn send(
        &self,
        request: Option<ReplyTo>,
        context: ProxyContext,
        message: Message,
        time: Duration,
    ) -> Result<(), BackendError> {
        let reply = Reply {
            session: self.session.clone(),
            to: self.to.clone(),
            request,
            context: self.has_context.then_some(context),
            payloads: self.payloads.clone(),
            deadline: Instant::now() + time,
            message,
        };
        let result = self.intake.reply(reply).await;
        if let Err(error) = &result {
            let cause = std::error::Error::source(error);
            tracing::warn!(session = ?self.session, error.r#type = error.kind().as_str(), %error, cause, "a message did not reach its client");
            self.metrics.reply_failed(error);
        }
        result
    }

    /// Sends an answer, or in the place of one that is larger than the transport takes an error that says so.
    pub(crate) async fn answer(
        &self,
        request: Option<ReplyTo>,
        context: ProxyContext,
        answer: Response,
    ) -> Result<(), BackendError> {
        self.answer_within(ANSWER_TIME, request, context, answer).await
    }

    /// The same, where it is tried for so long.
    pub(crate) async fn answer_within(
        &self,
        time: Duration,
        request: Option<ReplyTo>,
        context: ProxyContext,
        answer: Response,
    ) -> Result<(), BackendError> {
        let id = answer.id().cloned();
        let sent = self.send(request.clone(), context.clone(), answer.into(), time).await;
        match (sent, id) {
            (Err(error), Some(id)) if error.kind() == ErrorKind::TooLarge => {
                let notice = Notice::AnswerTooLarge(error.to_string().into());
                self.send(request, context, notice.answer(id).into(), time).await
            }
            (sent, _) => sent,
        }
    }
}

/// The context of a message that has nothing to say beside it.
pub(crate) fn plain_context() -> ProxyContext {
    ProxyContext { v: ProxyContext::VERSION, ..ProxyContext::default() }
}

/// The large payloads that whoever sent this announced that it reads.
pub(crate) fn payloads_of(arrival: &Arrival) -> Option<Box<str>> {
    arrival.context.as_ref()?.payloads.clone()
}

/// Where an arrival wants its answer.
pub(crate) fn named_place(arrival: &Arrival) -> Option<ReplyTo> {
    let in_context = || arrival.context.as_ref()?.reply.clone().map(ReplyTo::Address);
    arrival.reply.clone().or_else(in_context)
}

/// The first of these that may be written to, or what is wrong with all of them. A response is its own request's, so nobody was asked
/// to write anywhere.
pub(crate) fn allowed(
    places: impl IntoIterator<Item = ReplyTo>,
    rules: &AddressRules,
) -> Result<ReplyTo, Refused> {
    let mut refused = Refused::NoReplyAddress;
    for place in places {
        match &place {
            ReplyTo::Address(address) if !rules.allow(address) => refused = Refused::ReplyNotAllowed,
            ReplyTo::Address(_) | ReplyTo::Response(_) => return Ok(place),
        }
    }
    Err(refused)
}
