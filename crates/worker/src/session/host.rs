//! The task of one session: takes its mail in order, runs its exchanges, and ends it.

use std::{collections::VecDeque, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use proxy_core::{
    Media, Pending, Principal,
    id::SessionId,
    intake::{Delivery, Refused, ReplyTo, Settled},
    message::{Message, Notification, Request, RequestId},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Incoming, Mail, PendingCall, Session,
    exchange::{Exchange, Finished, listen},
    memory::Requests,
};
use crate::{
    judge::{Case, Known, Verdict, judge},
    ledger::{Begun, Entry},
    metrics::Outcome,
    notice::Notice,
    shared::{Shared, give_back, is_past},
};

/// How long requests wait for a `notifications/initialized` that they overtook.
const HANDSHAKE_TIME: Duration = Duration::from_secs(1);

/// The longest `session_timeout` that makes a difference.
const FOREVER: Duration = Duration::from_hours(24 * 365);

/// Owns a session.
#[derive(Debug)]
pub(crate) struct Host {
    shared: Arc<Shared>,
    session: Arc<Session>,
    /// What the core knows it by.
    inner: SessionId,
    mail: mpsc::Receiver<Mail>,
    /// `notifications/initialized` came, or was waited for long enough.
    may_start: bool,
    /// Requests that wait for that, and until when.
    held: VecDeque<Box<Incoming>>,
    held_until: Option<Instant>,
    requests: Requests,
    exchanges: JoinSet<Finished>,
    listening: JoinSet<()>,
    opened_by: RequestId,
    /// The answer to its `initialize`, once there is one.
    opened_with: Option<Box<str>>,
    last_used: Instant,
    /// Nothing runs any more.
    has_ended: bool,
    unwanted: CancellationToken,
}

/// What a session begins with.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) inner: SessionId,
    pub(crate) id: RequestId,
    pub(crate) pending: Pending,
    pub(crate) place: Option<ReplyTo>,
    pub(crate) delivery: Delivery,
    pub(crate) settle: oneshot::Sender<Settled>,
}

impl Host {
    /// The host of a session whose `initialize` is on its way to the server.
    pub(crate) fn new(
        shared: Arc<Shared>,
        session: Arc<Session>,
        mail: mpsc::Receiver<Mail>,
        opening: Opening,
    ) -> Self {
        let Opening { inner, id, pending, place, delivery, settle } = opening;
        let mut host = Self {
            shared,
            session,
            inner,
            mail,
            may_start: false,
            held: VecDeque::new(),
            held_until: None,
            requests: Requests::default(),
            exchanges: JoinSet::new(),
            listening: JoinSet::new(),
            opened_by: id.clone(),
            opened_with: None,
            last_used: Instant::now(),
            has_ended: false,
            unwanted: CancellationToken::new(),
        };
        host.requests.begin(id.clone(), settle);
        let exchange = host.exchange(id.clone(), "initialize", place, delivery);
        host.spawn(id, exchange.carry(pending));
        host
    }

    /// Runs the session until it ends.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let timeout = shared.config.session_timeout.min(FOREVER);
        let reason = loop {
            let idle_at = self.last_used + timeout;
            let held_until = self.held_until;
            tokio::select! {
                biased;
                () = shared.over.cancelled() => break "shutting_down",
                Some(finished) = self.exchanges.join_next() => {
                    self.finish(finished);
                    if self.is_lost() {
                        break self.loss();
                    }
                }
                Some(_) = self.listening.join_next() => if self.is_lost() {
                    break self.loss();
                },
                mail = self.mail.recv() => match mail {
                    None | Some(Mail::End) => break "session_closed",
                    Some(mail) => {
                        self.last_used = Instant::now();
                        self.take(mail).await;
                        if self.is_lost() {
                            break self.loss();
                        }
                    }
                },
                () = until(held_until) => self.release().await,
                () = tokio::time::sleep_until(idle_at), if self.exchanges.is_empty() => break "session_idle",
            }
        };
        self.close(reason).await;
    }

    async fn take(&mut self, mail: Mail) {
        match mail {
            Mail::Request(incoming, settle) => self.take_request(incoming, settle).await,
            Mail::Notification(notification) => self.take_notification(notification).await,
            Mail::Response(response) => self.pass(response.into()),
            Mail::End => {}
        }
    }

    async fn take_request(&mut self, incoming: Box<Incoming>, settle: oneshot::Sender<Settled>) {
        let id = incoming.request.id().clone();
        let Incoming { request, delivery, .. } = &*incoming;
        let Err(settle) = self.requests.join(&id, settle) else {
            return self.shared.metrics.request(request.method(), Outcome::Shared, delivery.receive_count);
        };
        self.requests.begin(id.clone(), settle);
        if self.requests.was_cancelled(&id, Instant::now()) {
            self.cancelled_before_start(&incoming);
            return self.requests.end(&id, &Settled::Done);
        }
        if self.may_start || self.has_ended || matches!(incoming.request.method(), "ping" | "initialize") {
            return self.start(incoming).await;
        }
        self.held_until.get_or_insert_with(|| Instant::now() + HANDSHAKE_TIME);
        self.held.push_back(incoming);
    }

    /// Runs a request, or does with it what there is to do with it instead.
    async fn start(&mut self, incoming: Box<Incoming>) {
        let Incoming { request, call, place, context, delivery } = *incoming;
        let id = request.id().clone();
        let mut exchange = self.exchange(id.clone(), request.method(), place, delivery);
        if request.method() == "initialize" && !self.has_ended {
            return self.initialize_again(exchange, request);
        }
        let mut entry = None;
        if let Some(call) = call {
            exchange.key = Some(call.key.clone());
            match call.begun.await {
                Ok(Begun::New) => {}
                Ok(Begun::Known(known)) => entry = Some(known),
                Err(error) => {
                    tracing::error!(%error, "a call could not be written into the ledger");
                    self.shared.metrics.ledger_failed();
                    return self.tell(exchange, Notice::Ledger, Outcome::Refused);
                }
            }
            if entry.is_some() && self.requests.has_ended(&id) {
                // It ended after this delivery of it came: what was known then is out of date.
                entry = self.shared.ledger.look(call.key).await;
            }
        }
        let receives = exchange.delivery.receive_count;
        match judge(&self.case(&exchange, &request, entry.as_ref())) {
            // Said only of what did not run; what may have run is said to have.
            Verdict::Run if is_past(context.as_ref()) => {
                self.tell(exchange, Notice::DeadlinePassed, Outcome::DeadlinePassed);
            }
            Verdict::Run => self.forward(exchange, request),
            Verdict::AnswerAgain(answer) => {
                self.spawn(id, exchange.repeat(answer.to_owned()));
            }
            Verdict::MayHaveRun if self.has_ended => {
                self.tell(exchange, Notice::MayHaveRunAndGone, Outcome::MayHaveRun);
            }
            Verdict::MayHaveRun => self.tell(exchange, Notice::MayHaveRun, Outcome::MayHaveRun),
            Verdict::OutOfReceives => {
                self.tell(exchange, Notice::OutOfReceives(receives), Outcome::OutOfReceives);
            }
            Verdict::NotStarted => self.tell(exchange, Refused::UnknownSession.into(), Outcome::SessionGone),
        }
    }

    /// Lets an exchange go on by itself. One that panics ends too: its request comes again, and the ledger says how far it had come.
    fn spawn(&mut self, id: RequestId, exchange: impl Future<Output = Finished> + Send + 'static) {
        let exchange = AssertUnwindSafe(exchange).catch_unwind();
        self.exchanges.spawn(async move {
            exchange.await.unwrap_or_else(|_| {
                tracing::error!("an exchange failed");
                Finished { id, settled: give_back(), initialize: None, is_cancelled: false }
            })
        });
    }

    /// Has a request answered without the server.
    fn tell(&mut self, exchange: Exchange, notice: Notice, outcome: Outcome) {
        self.spawn(exchange.id.clone(), exchange.tell(notice, outcome));
    }

    fn forward(&mut self, exchange: Exchange, request: Request) {
        let (id, messages) = (request.id().clone(), vec![request.into()]);
        match self.shared.proxy.forward(&self.inner, &Principal::Anonymous, messages, Media::Any) {
            Ok(Some(pending)) => {
                self.spawn(id, exchange.carry(pending));
            }
            Ok(None) => self.requests.end(&id, &Settled::Done),
            Err(refusal) => {
                self.shared.metrics.refused(refusal.reason());
                self.tell(exchange, refusal.into(), Outcome::Refused);
            }
        }
    }

    /// A second `initialize`: another delivery of the first gets its answer, another one an error, as the core says.
    fn initialize_again(&mut self, exchange: Exchange, request: Request) {
        match &self.opened_with {
            Some(answer) if *request.id() == self.opened_by => {
                self.spawn(exchange.id.clone(), exchange.repeat(answer.to_string()));
            }
            _ => self.forward(exchange, request),
        }
    }

    async fn take_notification(&mut self, notification: Notification) {
        if let Some(id) = notification.cancelled_id() {
            let held = self.held.iter().position(|incoming| *incoming.request.id() == id);
            if let Some(position) = held {
                if let Some(incoming) = self.held.remove(position) {
                    self.cancelled_before_start(&incoming);
                }
                self.requests.cancel(id.clone(), Instant::now());
                return self.requests.end(&id, &Settled::Done);
            }
            if !self.requests.is_running(&id) {
                return self.requests.cancel(id, Instant::now());
            }
        }
        let confirms = notification.method() == "notifications/initialized";
        self.pass(notification.into());
        if confirms && self.listening.is_empty() {
            self.may_start = true;
            let (shared, session) = (Arc::clone(&self.shared), Arc::clone(&self.session));
            self.listening.spawn(listen(shared, session, self.inner.clone()));
            self.release().await;
        }
    }

    /// Nobody waits for it, not even after a restart.
    fn cancelled_before_start(&self, incoming: &Incoming) {
        let Incoming { request, call, delivery, .. } = incoming;
        self.shared.metrics.request(request.method(), Outcome::Cancelled, delivery.receive_count);
        if let Some(PendingCall { key, .. }) = call {
            self.shared.ledger.sent(key);
        }
    }

    /// Passes on what wants no answer.
    fn pass(&mut self, message: Message) {
        let passed = self.shared.proxy.forward(&self.inner, &Principal::Anonymous, vec![message], Media::Any);
        if let Err(refusal) = passed {
            tracing::debug!(session = ?self.session.id, error.r#type = refusal.reason(), "a message was not taken");
            self.shared.metrics.refused(refusal.reason());
        }
    }

    /// Lets what waited for the handshake run.
    async fn release(&mut self) {
        self.held_until = None;
        // From here on the server says whether it minds.
        self.may_start |= !self.held.is_empty() && self.opened_with.is_some();
        for incoming in std::mem::take(&mut self.held) {
            self.start(incoming).await;
        }
    }

    fn finish(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        self.last_used = Instant::now();
        match finished {
            Ok(Finished { id, settled, initialize, is_cancelled }) => {
                if is_cancelled {
                    self.requests.cancel(id.clone(), self.last_used);
                }
                if id == self.opened_by && self.opened_with.is_none() {
                    self.opened_with = initialize;
                }
                self.requests.end(&id, &settled);
            }
            Err(error) => tracing::error!(%error, "an exchange failed"),
        }
    }

    /// Ends the session: what came for it and did not run is answered without the server, what runs by the core.
    async fn close(mut self, reason: &'static str) {
        self.shared.sessions.remove(&self.session);
        if reason == "session_closed" {
            self.unwanted.cancel();
        }
        if let Err(refusal) = self.shared.proxy.end(&self.inner, &Principal::Anonymous) {
            tracing::trace!(error.r#type = refusal.reason(), "the core had ended the session already");
        }
        self.mail.close();
        self.has_ended = true;
        for incoming in std::mem::take(&mut self.held) {
            self.start(incoming).await;
        }
        while let Some(mail) = self.mail.recv().await {
            if let Mail::Request(incoming, settle) = mail {
                self.take_request(incoming, settle).await;
            }
        }
        while let Some(finished) = self.exchanges.join_next().await {
            self.finish(finished);
        }
        self.shared.intake.close(&self.session.id).await;
        self.shared.metrics.closed(reason);
        tracing::debug!(session = ?self.session.id, reason, "session closed");
    }

    fn case<'ledger>(
        &self,
        exchange: &Exchange,
        request: &Request,
        entry: Option<&'ledger Entry>,
    ) -> Case<'ledger> {
        let alive = !self.has_ended;
        let Some(_) = exchange.key else {
            return Case { alive, ..self.shared.repeatable(&exchange.delivery) };
        };
        let known = entry.map_or(Known::Nothing, Known::of);
        let tool = request.tool_name();
        let may_rerun = self.session.hints.may_rerun(tool, &self.shared.config.rerun_tools);
        Case { may_rerun, alive, ..self.shared.case(&exchange.delivery, known) }
    }

    fn exchange(&self, id: RequestId, method: &str, place: Option<ReplyTo>, delivery: Delivery) -> Exchange {
        Exchange {
            shared: Arc::clone(&self.shared),
            session: Arc::clone(&self.session),
            inner: self.inner.clone(),
            id,
            method: method.into(),
            key: None,
            place,
            delivery,
            unwanted: self.unwanted.clone(),
        }
    }

    /// The word for what the core ended the session for.
    fn loss(&self) -> &'static str {
        if self.opened_with.is_some() { "session_gone" } else { "handshake_failed" }
    }

    /// Whether the core has no such session any more.
    fn is_lost(&self) -> bool {
        self.shared.has_lost(&self.inner)
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
