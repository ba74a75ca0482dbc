//! What becomes of an arrival: whose it is, and whether it may be taken.

use std::{future, sync::Arc};

use futures_util::future::BoxFuture;
use proxy_core::{
    ProtocolVersion, ProxyContext,
    intake::{Arrival, ArrivalEvent, Desk, Receipt, Refused, Settled, Taken},
    message::{Message, Request, RequestId},
};
use tokio::sync::oneshot;

use super::Worker;
use crate::{
    courier::{ANSWER_TIME, Courier, allowed, named_place, payloads_of, plain_context},
    ledger::CallKey,
    method::is_call,
    notice::Notice,
    session::{Incoming, Mail, NoRoom, PendingCall, Session},
    shared::{LONGEST_NAME, give_back},
};

impl Desk for Worker {
    fn take(&self, arrival: Arrival) -> Taken {
        let span = tracing::debug_span!(
            "take",
            session = ?arrival.session,
            messaging.message.id = arrival.delivery.message_id.as_deref(),
            receive_count = arrival.delivery.receive_count,
        );
        span.in_scope(|| self.take_arrival(arrival))
    }
}

impl Worker {
    fn take_arrival(&self, mut arrival: Arrival) -> Taken {
        if arrival.context.as_ref().is_some_and(|context| context.end) {
            arrival.event = ArrivalEvent::End;
        }
        if let Some(refused) = too_long(&arrival) {
            return self.refuse(refused, &arrival);
        }
        if message_of(&arrival).and_then(Message::method) == Some("initialize") {
            return self.take_initialize(arrival);
        }
        let Some(id) = &arrival.session else { return self.refuse(Refused::NoSession, &arrival) };
        match self.shared.sessions.find(id) {
            Some(session) if session.is_of(arrival.client_id.as_deref()) => self.take_for(&session, arrival),
            Some(_) => {
                self.shared.metrics.refused("other_client");
                self.refuse(Refused::UnknownSession, &arrival)
            }
            None => self.take_stray(arrival),
        }
    }

    /// Puts an arrival into its session's mail.
    pub(super) fn take_for(&self, session: &Arc<Session>, arrival: Arrival) -> Taken {
        if let Some(refused) = self.objection(&arrival) {
            return self.refuse_known(refused, session, &arrival);
        }
        let room = match session.room() {
            Ok(room) => room,
            Err(NoRoom::Ended) => return self.take_stray(arrival),
            Err(NoRoom::Full) => return self.refuse_busy(session, &arrival),
        };
        let Arrival { context, reply, delivery, event, .. } = arrival;
        match event {
            ArrivalEvent::End => {
                room.send(Mail::End);
                self.forget(session);
                taken(Receipt::Ended, settled_as(Settled::Done))
            }
            ArrivalEvent::Message(Message::Notification(notification)) => {
                room.send(Mail::Notification(notification));
                taken(Receipt::Accepted, settled_as(Settled::Done))
            }
            ArrivalEvent::Message(Message::Response(response)) => {
                room.send(Mail::Response(response));
                taken(Receipt::Accepted, settled_as(Settled::Done))
            }
            ArrivalEvent::Message(Message::Request(request)) => {
                let call = is_call(request.method()).then(|| {
                    let key = CallKey::new(&session.id, request.id());
                    let message_id = delivery.message_id.as_deref();
                    let begun = self.shared.ledger.begin(key.clone(), message_id, session.incarnation);
                    PendingCall { key, begun: Box::pin(begun) }
                });
                let place = allowed(reply, &self.shared.rules).ok();
                let (settle, settled) = oneshot::channel();
                let incoming = Incoming { request, call, place, context, delivery };
                room.send(Mail::Request(Box::new(incoming), settle));
                taken(Receipt::Accepted, self.settled_later(settled))
            }
        }
    }

    /// What comes from now on finds no such session, or a new one.
    fn forget(&self, session: &Arc<Session>) {
        let mut table = self.shared.sessions.lock();
        table.remove(session);
        // before another one can be remembered under its name
        self.shared.ledger.forget_session(&session.id);
    }

    /// Why a known session's message is not taken. Where requests come again, its session knows whether this one has run already, and the
    /// core whether it drains.
    fn objection(&self, arrival: &Arrival) -> Option<Refused> {
        let comes_once = self.shared.intake.has_receipts();
        if comes_once && request_of(arrival).is_some() && self.shared.draining.is_cancelled() {
            return Some(Refused::Draining);
        }
        let unknown =
            arrival.version.as_deref().filter(|version| ProtocolVersion::parse(version).is_none())?;
        let known = ProtocolVersion::ALL.map(ProtocolVersion::as_str).join(", ");
        let shown: String = unknown.chars().take(32).collect();
        Some(Refused::Invalid(
            format!("the message names the MCP revision {shown:?}, and the worker speaks {known}").into(),
        ))
    }

    /// A session whose mail is full. A request is not given back: on a fleet it would count as one that may have run. One that came before
    /// may have, so there is nothing else to do with it.
    fn refuse_busy(&self, session: &Arc<Session>, arrival: &Arrival) -> Taken {
        let refused =
            Refused::Busy("the session has more messages waiting than it may: wait for answers first".into());
        let is_new = request_of(arrival).is_some() && arrival.delivery.receive_count <= 1;
        if is_new || self.shared.intake.has_receipts() {
            return self.refuse_known(refused, session, arrival);
        }
        self.shared.metrics.refused(refused.reason());
        taken(Receipt::Refused(refused), settled_as(give_back()))
    }

    /// Refuses what came for a session that is here.
    fn refuse_known(&self, refused: Refused, session: &Arc<Session>, arrival: &Arrival) -> Taken {
        self.shared.metrics.refused(refused.reason());
        let settled = match request_of(arrival) {
            Some(request) if !self.shared.intake.has_receipts() => {
                let place = allowed(arrival.reply.clone(), &self.shared.rules).ok();
                let id = request.id().clone();
                self.answer(session.courier.clone(), place, id, refused.clone().into(), arrival)
            }
            _ => settled_as(Settled::Done),
        };
        taken(Receipt::Refused(refused), settled)
    }

    /// Refuses what came for no session. Its client hears of that where it asks to, if that may be written to.
    pub(super) fn refuse(&self, refused: Refused, arrival: &Arrival) -> Taken {
        let notice = refused.clone().into();
        self.refuse_with(refused, notice, arrival)
    }

    /// The same, in other words.
    pub(super) fn refuse_with(&self, refused: Refused, notice: Notice, arrival: &Arrival) -> Taken {
        self.shared.metrics.refused(refused.reason());
        let request = request_of(arrival).filter(|_| !self.shared.intake.has_receipts());
        let settled = match (request, allowed(named_place(arrival), &self.shared.rules)) {
            (Some(request), Ok(to)) => {
                let courier = self.courier(to, arrival);
                self.answer(courier, arrival.reply.clone(), request.id().clone(), notice, arrival)
            }
            (Some(_), Err(unheard)) => {
                self.shared.unheard(&unheard, arrival);
                settled_as(Settled::Done)
            }
            (None, _) => settled_as(Settled::Done),
        };
        tracing::debug!(error.r#type = refused.reason(), "an arrival was refused");
        taken(Receipt::Refused(refused), settled)
    }

    /// The way to whoever sent this, who has no session here.
    fn courier(&self, to: proxy_core::intake::ReplyTo, arrival: &Arrival) -> Courier {
        Courier {
            intake: Arc::clone(&self.shared.intake),
            metrics: self.shared.metrics.clone(),
            session: arrival.session.clone(),
            to,
            has_context: arrival.context.is_some(),
            payloads: payloads_of(arrival),
        }
    }

    /// Answers a request that was not taken.
    fn answer(
        &self,
        courier: Courier,
        place: Option<proxy_core::intake::ReplyTo>,
        id: RequestId,
        notice: Notice,
        arrival: &Arrival,
    ) -> BoxFuture<'static, Settled> {
        let (shared, delivery) = (Arc::clone(&self.shared), arrival.delivery.clone());
        self.settled_by(async move {
            let context = ProxyContext { gone: notice.is_gone(), ..plain_context() };
            let sent = courier.send(place, context, notice.answer(id).into(), ANSWER_TIME).await;
            shared.after_answer(sent, &delivery)
        })
    }

    /// Settles as this says, which goes on whatever the intake does.
    pub(super) fn settled_by(
        &self,
        settling: impl Future<Output = Settled> + Send + 'static,
    ) -> BoxFuture<'static, Settled> {
        let task = self.shared.tasks.spawn(settling);
        self.unless_given_up(async move { task.await.ok() })
    }

    /// Settles as the session says.
    pub(super) fn settled_later(&self, settled: oneshot::Receiver<Settled>) -> BoxFuture<'static, Settled> {
        self.unless_given_up(async move { settled.await.ok() })
    }

    /// Settles so. What ends without a word was not got to: it is given back, and the ledger says how far it had come.
    fn unless_given_up(
        &self,
        settled: impl Future<Output = Option<Settled>> + Send + 'static,
    ) -> BoxFuture<'static, Settled> {
        let given_up = self.shared.given_up.clone();
        Box::pin(async move {
            let settled = tokio::select! {
                biased;
                settled = settled => settled,
                () = given_up.cancelled() => None,
            };
            settled.unwrap_or_else(give_back)
        })
    }
}

pub(super) fn taken(receipt: Receipt, settled: BoxFuture<'static, Settled>) -> Taken {
    Taken { receipt, settled }
}

pub(super) fn settled_as(settled: Settled) -> BoxFuture<'static, Settled> {
    Box::pin(future::ready(settled))
}

/// Why something is refused that would have to be kept for long.
fn too_long(arrival: &Arrival) -> Option<Refused> {
    let refused =
        |what: &str| Some(Refused::Invalid(format!("{what} is longer than {LONGEST_NAME} bytes").into()));
    if arrival.client_id.as_ref().is_some_and(|id| id.len() > LONGEST_NAME) {
        return refused("the client id");
    }
    let id = request_of(arrival).map(Request::id)?;
    if id.as_text().len() > LONGEST_NAME { refused("the request's id") } else { None }
}

pub(super) fn message_of(arrival: &Arrival) -> Option<&Message> {
    match &arrival.event {
        ArrivalEvent::Message(message) => Some(message),
        ArrivalEvent::End => None,
    }
}

pub(super) fn request_of(arrival: &Arrival) -> Option<&Request> {
    match message_of(arrival) {
        Some(Message::Request(request)) => Some(request),
        _ => None,
    }
}
