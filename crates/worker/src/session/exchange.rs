//! One request and all that goes back for it, up to its answer.

use std::{sync::Arc, time::Duration};

use proxy_core::{
    Media, Pending, Principal, ProxyContext, Reply,
    error::{BackendError, Delivery as Arrives},
    id::SessionId,
    intake::{Delivery, ReplyTo, Settled},
    message::{Message, RequestId, Response},
};
use tokio_util::sync::CancellationToken;

use super::Session;
use crate::{
    courier::{TELL_TIME, plain_context},
    ledger::CallKey,
    metrics::Outcome,
    notice::{Notice, is_cut_off},
    shared::Shared,
};

/// The eras that the worker speaks: those with a handshake.
const ERAS: [&str; 1] = ["legacy"];

/// A request that runs, or that is answered without running.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Arc<Session>,
    /// What the core knows the session by.
    pub(super) inner: SessionId,
    pub(super) id: RequestId,
    pub(super) method: Box<str>,
    /// Set for calls.
    pub(super) key: Option<CallKey>,
    /// Where the request wants its answer.
    pub(super) place: Option<ReplyTo>,
    pub(super) delivery: Delivery,
    /// Fires when the client has ended the session, and wants no answer any more.
    pub(super) unwanted: CancellationToken,
}

/// A request that is over.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) id: RequestId,
    pub(super) settled: Settled,
    /// Its answer, if it was an `initialize` that opened the session.
    pub(super) initialize: Option<Box<str>>,
    /// Its client cancelled it.
    pub(super) is_cancelled: bool,
}

impl Exchange {
    /// Passes on what the server has to say to the request, and then its answer.
    pub(super) async fn carry(self, pending: Pending) -> Finished {
        let mut count = 0;
        let answer = match pending.reply(Duration::MAX).await {
            Reply::Whole(answers) => answers.into_iter().next(),
            Reply::Stream(mut events) => loop {
                let Some(event) = events.next().await else { break None };
                match Message::parse(event.text) {
                    Ok(Message::Response(response)) => break Some(response.into_text()),
                    Ok(message) => self.pass(message, &mut count).await,
                    Err(error) => tracing::error!(%error, "an event of the core's is no message"),
                }
            },
        };
        match answer.map(Message::parse) {
            Some(Ok(Message::Response(answer))) => {
                self.count(Outcome::Answered);
                let is_gone = is_cut_off(&answer) && self.shared.has_lost(&self.inner);
                self.answer(answer, count, is_gone).await
            }
            Some(Ok(_) | Err(_)) => {
                tracing::error!("an answer of the core's is no response");
                self.finished(Settled::Done)
            }
            None => {
                self.count(Outcome::Cancelled);
                if let Some(key) = &self.key {
                    // Nobody waits for it, not even after a restart.
                    self.shared.ledger.sent(key);
                }
                Finished { is_cancelled: true, ..self.finished(Settled::Done) }
            }
        }
    }

    /// Answers without the server.
    pub(super) async fn tell(self, notice: Notice, outcome: Outcome) -> Finished {
        tracing::debug!(session = ?self.session.id, error.r#type = notice.reason(), "a request was not run");
        self.count(outcome);
        let out_of_receives = matches!(notice, Notice::OutOfReceives(_)).then(|| notice.to_string());
        let answer = notice.answer(self.id.clone());
        let finished = self.answer(answer, 0, notice.is_gone()).await;
        match out_of_receives {
            Some(reason) => Finished { settled: Settled::Dead(reason.into()), ..finished },
            None => finished,
        }
    }

    /// Gives the answer that was given before, to the session's own address alone. What came before that is not said again.
    pub(super) async fn repeat(mut self, answer: String) -> Finished {
        self.count(Outcome::AnsweredAgain);
        self.place.take_if(|place| matches!(place, ReplyTo::Address(_)));
        let Ok(Message::Response(answer)) = Message::parse(answer) else {
            tracing::error!("an answer that was kept is no response");
            return self.finished(Settled::Dead("its answer was kept, but cannot be read".into()));
        };
        let context = if self.is_initialize() { self.introduction() } else { plain_context() };
        let sent = self.send_answer(answer, context).await;
        if let (Ok(()), Some(key)) = (&sent, &self.key) {
            self.shared.ledger.sent(key);
        }
        let settled = self.shared.after_answer(sent, &self.delivery);
        self.finished(settled)
    }

    /// Passes on what the server says before its answer. A message that certainly did not leave leaves no gap in the numbers.
    async fn pass(&self, message: Message, count: &mut u64) {
        let related = self.id.as_string().map(Into::into);
        let context = ProxyContext { related, seq: Some(*count + 1), ..plain_context() };
        let asked = server_request(&message);
        let sent = self.send(message, context).await;
        if sent.as_ref().err().is_none_or(|error| error.delivery() == Arrives::MaybeSent) {
            *count += 1;
        }
        if let (Err(_), Some(asked)) = (sent, asked) {
            refuse_server_request(&self.shared, &self.inner, asked);
        }
    }

    /// Writes the answer down while it is sent.
    async fn answer(self, answer: Response, count: u64, is_gone: bool) -> Finished {
        let context = if self.is_initialize() {
            self.introduction()
        } else {
            ProxyContext { gone: is_gone, seq: Some(count), ..plain_context() }
        };
        if self.shared.config.trust_hints && self.method.as_ref() == "tools/list" {
            self.session.hints.learn(&answer);
        }
        let sent = self.record_and_send(answer.clone(), context).await;
        let settled = self.shared.after_answer(sent, &self.delivery);
        let opens = self.is_initialize() && !answer.is_error();
        let initialize = opens.then(|| answer.into_text().into());
        Finished { initialize, ..self.finished(settled) }
    }

    async fn record_and_send(&self, answer: Response, context: ProxyContext) -> Result<(), BackendError> {
        let recorded =
            self.key.clone().map(|key| self.shared.ledger.answered(key, answer.as_str().to_owned()));
        let recording = async {
            if let Some(Err(error)) = futures_util::future::OptionFuture::from(recorded).await {
                tracing::error!(%error, "an answer could not be written into the ledger");
                self.shared.metrics.ledger_failed();
            }
        };
        let ((), sent) = tokio::join!(recording, self.send_answer(answer, context));
        if let (Ok(()), Some(key)) = (&sent, &self.key) {
            self.shared.ledger.sent(key);
        }
        sent
    }

    /// Sends what comes before the answer, unless nobody wants it.
    async fn send(&self, message: Message, context: ProxyContext) -> Result<(), BackendError> {
        tokio::select! {
            biased;
            () = self.unwanted.cancelled() => Ok(()),
            sent = self.session.courier.send(self.place.clone(), context, message, TELL_TIME) => sent,
        }
    }

    /// Sends an answer, unless nobody wants it.
    async fn send_answer(&self, answer: Response, context: ProxyContext) -> Result<(), BackendError> {
        tokio::select! {
            biased;
            () = self.unwanted.cancelled() => Ok(()),
            sent = self.session.courier.answer(self.place.clone(), context, answer) => sent,
        }
    }

    /// What the worker says of itself beside the answer to `initialize`.
    fn introduction(&self) -> ProxyContext {
        ProxyContext {
            eras: ERAS.into_iter().map(Into::into).collect(),
            owner: self.shared.intake.owner().map(Into::into),
            ..plain_context()
        }
    }

    fn is_initialize(&self) -> bool {
        *self.method == *"initialize"
    }

    fn count(&self, outcome: Outcome) {
        self.shared.metrics.request(&self.method, outcome, self.delivery.receive_count);
    }

    fn finished(self, settled: Settled) -> Finished {
        Finished { id: self.id, settled, initialize: None, is_cancelled: false }
    }
}

/// Passes on what the server says of its own accord, until the session ends or the worker drains.
pub(super) async fn listen(shared: Arc<Shared>, session: Arc<Session>, inner: SessionId) {
    let mut events = match shared.proxy.listen(&inner, &Principal::Anonymous) {
        Ok(events) => events,
        Err(refusal) => {
            return tracing::debug!(session = ?session.id, error.r#type = refusal.reason(), "the session has no stream of its own");
        }
    };
    while let Some(event) = events.next().await {
        match Message::parse(event.text) {
            Ok(message) => {
                let asked = server_request(&message);
                let sent = session.courier.send(None, plain_context(), message, TELL_TIME).await;
                if let (Err(_), Some(asked)) = (sent, asked) {
                    refuse_server_request(&shared, &inner, asked);
                }
            }
            Err(error) => tracing::error!(%error, "an event of the core's is no message"),
        }
    }
}

/// The id of a request of the server's.
fn server_request(message: &Message) -> Option<RequestId> {
    match message {
        Message::Request(request) => Some(request.id().clone()),
        Message::Notification(_) | Message::Response(_) => None,
    }
}

/// Answers a request of the server's that could not be sent: nothing else would, before its deadline.
fn refuse_server_request(shared: &Shared, inner: &SessionId, id: RequestId) {
    let refused = vec![Notice::ClientNotAsked.answer(id).into()];
    if let Err(refusal) = shared.proxy.forward(inner, &Principal::Anonymous, refused, Media::Any) {
        tracing::debug!(error.r#type = refusal.reason(), "a server request ended with its session");
    }
}
