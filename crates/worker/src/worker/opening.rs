//! How sessions are opened.

use std::sync::Arc;

use proxy_core::{
    Media, Opened, Principal, Refusal,
    id::{RemoteSession, RouteKey},
    intake::{Arrival, ArrivalEvent, Receipt, Refused, ReplyTo, Taken},
    message::{Message, Request},
};
use tokio::sync::oneshot;

use super::{
    Worker,
    desk::{settled_as, taken},
};
use crate::{
    courier::{Courier, allowed, named_place, payloads_of},
    ledger::SessionRecord,
    notice::Notice,
    session::{Host, Opening, Session},
    sessions::Table,
    shared::{give_back, is_past},
};

impl Worker {
    /// Opens a session, unless there is one: a second `initialize` goes to the session of the first.
    pub(super) fn take_initialize(&self, arrival: Arrival) -> Taken {
        let mut table = self.shared.sessions.lock();
        if let Some(session) = known(&table, &arrival) {
            drop(table);
            if session.is_of(arrival.client_id.as_deref()) {
                return self.take_for(&session, arrival);
            }
            self.shared.metrics.refused("other_client");
            return self.refuse(Refused::UnknownSession, &arrival);
        }
        let ArrivalEvent::Message(Message::Request(request)) = &arrival.event else {
            drop(table);
            return self.refuse(Refused::NoSession, &arrival);
        };
        let to = match allowed(named_place(&arrival), &self.shared.rules) {
            Ok(to) => to,
            Err(refused) => {
                drop(table);
                return self.refuse_unheard(refused);
            }
        };
        let request = request.clone();
        if is_past(arrival.context.as_ref()) {
            drop(table);
            let notice = Notice::DeadlinePassed;
            return self.refuse_with(Refused::Invalid(notice.to_string().into()), notice, &arrival);
        }
        if self.shared.draining.is_cancelled() {
            drop(table);
            return self.not_opened(Refusal::Draining, &arrival);
        }
        match self.shared.proxy.open(&Principal::Anonymous, request.clone(), Media::Any) {
            Ok(opened) => self.admit(&mut table, opened, &request, to, arrival),
            Err(refusal) => {
                drop(table);
                self.not_opened(refusal, &arrival)
            }
        }
    }

    fn admit(
        &self,
        table: &mut Table,
        opened: Opened,
        request: &Request,
        to: ReplyTo,
        arrival: Arrival,
    ) -> Taken {
        let payloads = payloads_of(&arrival);
        let Arrival { session, client_id, reply, context, delivery, .. } = arrival;
        let id = session.unwrap_or_else(|| self.made_up());
        let courier = Courier {
            intake: Arc::clone(&self.shared.intake),
            metrics: self.shared.metrics.clone(),
            session: Some(id.clone()),
            to,
            has_context: context.is_some(),
            payloads,
        };
        let (session, mail) =
            Session::new(id.clone(), client_id.clone(), delivery.message_id.clone(), courier);
        if let ReplyTo::Address(reply) = &session.courier.to {
            let record = SessionRecord {
                reply: reply.clone(),
                client_id,
                knows_context: context.is_some(),
                payloads: session.courier.payloads.clone(),
                incarnation: session.incarnation,
            };
            self.shared.ledger.remember_session(&id, record);
        }
        table.insert(Arc::clone(&session));
        self.shared.metrics.sessions.inc();
        tracing::debug!(session = ?id, "session opened");
        let (settle, settled) = oneshot::channel();
        let opening = Opening {
            inner: opened.session,
            id: request.id().clone(),
            pending: opened.pending,
            place: reply,
            delivery,
            settle,
        };
        let host = Host::new(Arc::clone(&self.shared), session, mail, opening);
        self.shared.tasks.spawn(host.run());
        taken(Receipt::Opened(id), self.settled_later(settled))
    }

    /// Refuses without a word to the address that was named.
    fn refuse_unheard(&self, refused: Refused) -> Taken {
        tracing::warn!(error.r#type = refused.reason(), "an initialize was refused");
        self.shared.metrics.refused(refused.reason());
        taken(Receipt::Refused(refused), settled_as(proxy_core::intake::Settled::Done))
    }

    /// What the core did not admit. Another worker may have room, or this one in a moment.
    fn not_opened(&self, refusal: Refusal, arrival: &Arrival) -> Taken {
        let shared = &self.shared;
        let passes = matches!(refusal, Refusal::TooManySessions | Refusal::OutOfMemory | Refusal::Draining);
        let may_come_again = !shared.is_alone(&arrival.delivery)
            && !shared.intake.has_receipts()
            && arrival.delivery.receive_count < shared.config.max_receives;
        let refused = match &refusal {
            Refusal::Draining => Refused::Draining,
            Refusal::InvalidRequest(_) | Refusal::InvalidParams(_) => {
                Refused::Invalid(refusal.to_string().into())
            }
            _ => Refused::Busy(refusal.to_string().into()),
        };
        if passes && may_come_again {
            shared.metrics.refused(refusal.reason());
            return taken(Receipt::Refused(refused), settled_as(give_back()));
        }
        self.refuse_with(refused, refusal.into(), arrival)
    }

    /// A session id that says whose it is.
    fn made_up(&self) -> RemoteSession {
        loop {
            let route = RouteKey::random(&self.shared.instance);
            if let Ok(id) = RemoteSession::parse(route.as_str()) {
                return id;
            }
        }
    }
}

/// The session that an `initialize` is for, if it is here already.
fn known(table: &Table, arrival: &Arrival) -> Option<Arc<Session>> {
    match (&arrival.session, &arrival.delivery.message_id) {
        (Some(id), _) => table.find(id),
        (None, Some(message)) => table.opened_by(message),
        (None, None) => None,
    }
}
