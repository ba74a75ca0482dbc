//! What comes for a session that is not here: it is another worker's, or it is no more.

use std::sync::Arc;

use proxy_core::{
    ProxyContext,
    error::ErrorKind,
    id::InstanceId,
    intake::{Arrival, Receipt, Refused, ReplyTo, Settled, Taken},
    message::Message,
};

use super::{
    Worker,
    desk::{request_of, settled_as, taken},
};
use crate::{
    courier::{Courier, allowed, named_place, payloads_of, plain_context},
    judge::{Case, Known, Verdict, judge},
    ledger::CallKey,
    method::is_call,
    metrics::Outcome,
    notice::{Notice, is_cut_off},
    session::is_client,
    shared::{Shared, give_back},
};

/// What a client is told.
enum Answer {
    Notice(Notice),
    /// What was answered before.
    Again(String),
}

impl Worker {
    /// Passes on what is another worker's, and answers the rest.
    pub(super) fn take_stray(&self, arrival: Arrival) -> Taken {
        let shared = Arc::clone(&self.shared);
        let owner = shared.owner(&arrival);
        if owner.is_none() {
            shared.metrics.refused(Refused::UnknownSession.reason());
            if shared.intake.has_receipts() || request_of(&arrival).is_none() {
                return taken(Receipt::Refused(Refused::UnknownSession), settled_as(Settled::Done));
            }
        }
        let settled = self.settled_by(async move {
            let mut refused = None;
            if let Some(owner) = owner {
                match shared.pass_on(&owner, &arrival).await {
                    PassedOn::Settled(settled) => return settled,
                    PassedOn::Gone => shared.metrics.refused(Refused::UnknownSession.reason()),
                    PassedOn::Failed(notice) => refused = Some(notice),
                }
            }
            match refused {
                Some(notice) => shared.say(&arrival, Answer::Notice(notice)).await,
                None => shared.answer_stray(&arrival).await,
            }
        });
        taken(Receipt::Accepted, settled)
    }
}

/// What became of what is another worker's.
enum PassedOn {
    Settled(Settled),
    /// That worker is no more.
    Gone,
    /// It cannot be reached.
    Failed(Notice),
}

impl Shared {
    /// The worker that may have the session of what arrived, where that is another one.
    fn owner(&self, arrival: &Arrival) -> Option<Box<str>> {
        if arrival.delivery.to_owner {
            return None;
        }
        let own = self.intake.owner()?;
        let named = arrival.context.as_ref().and_then(|context| context.owner.clone());
        let owner = match named.filter(|owner| self.is_sibling(owner, own)) {
            Some(owner) => owner,
            None => self.intake.owner_of(arrival.session.as_ref()?)?,
        };
        (*owner != *own).then_some(owner)
    }

    /// Whether an address that a client names can be another worker's: it differs from our own in the instance alone.
    fn is_sibling(&self, owner: &str, own: &str) -> bool {
        own.split_once(self.instance.as_str()).is_some_and(|(before, after)| {
            let instance = owner.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            instance.is_some_and(|instance| InstanceId::parse(instance).is_ok())
        })
    }

    async fn pass_on(&self, owner: &str, arrival: &Arrival) -> PassedOn {
        let result = self.intake.forward(owner, arrival).await;
        self.metrics.forwarded(result.as_ref().copied());
        let Err(error) = result else { return PassedOn::Settled(Settled::Done) };
        if error.kind() == ErrorKind::SessionGone {
            return PassedOn::Gone;
        }
        tracing::warn!(session = ?arrival.session, error.r#type = error.kind().as_str(), %error, "a message could not be passed on to its session's worker");
        // Its worker tells a second copy from a second call, so it may be passed on twice.
        if error.kind().is_retryable() && arrival.delivery.receive_count < self.config.max_receives {
            return PassedOn::Settled(give_back());
        }
        PassedOn::Failed(Notice::NotForwarded(error.to_string().into()))
    }

    /// Answers a request whose session is not here.
    async fn answer_stray(&self, arrival: &Arrival) -> Settled {
        let (Some(request), Some(session)) = (request_of(arrival), &arrival.session) else {
            return Settled::Done;
        };
        let key = is_call(request.method()).then(|| CallKey::new(session, request.id()));
        let entry = match &key {
            Some(key) => self.ledger.look(key.clone()).await,
            None => None,
        };
        let case = match &key {
            Some(_) => self.case(&arrival.delivery, entry.as_ref().map_or(Known::Nothing, Known::of)),
            None => self.repeatable(&arrival.delivery),
        };
        let (answer, outcome) = match judge(&Case { alive: false, ..case }) {
            Verdict::AnswerAgain(answer) => (Answer::Again(answer.to_owned()), Outcome::AnsweredAgain),
            Verdict::MayHaveRun => (Answer::Notice(Notice::MayHaveRunAndGone), Outcome::MayHaveRun),
            Verdict::NotStarted | Verdict::OutOfReceives | Verdict::Run => {
                (Answer::Notice(Refused::UnknownSession.into()), Outcome::SessionGone)
            }
        };
        self.metrics.request(request.method(), outcome, arrival.delivery.receive_count);
        let again = matches!(answer, Answer::Again(_));
        let message_id = arrival.delivery.message_id.as_ref();
        let same =
            entry.as_ref().filter(|entry| message_id.is_some() && entry.message_id.as_ref() == message_id);
        let settled = match key.as_ref().zip(same) {
            // Said once, here or by what tells at start what was left behind.
            Some((key, entry)) => {
                let said = self.told.of(key, entry.incarnation);
                let saying = said.get_or_try_init(|| async {
                    match self.say(arrival, answer).await {
                        Settled::Done => Ok(()),
                        other => Err(other),
                    }
                });
                saying.await.map_or_else(|other| other, |()| Settled::Done)
            }
            None => self.say(arrival, answer).await,
        };
        if let (true, Settled::Done, Some(key)) = (again, &settled, &key) {
            self.ledger.sent(key);
        }
        settled
    }

    /// Tells whoever sent a request of a session that is not here, by the way that it names or that its session had.
    async fn say(&self, arrival: &Arrival, answer: Answer) -> Settled {
        let (Some(request), Some(session)) = (request_of(arrival), &arrival.session) else {
            return Settled::Done;
        };
        let record = self.ledger.session(session).await;
        let is_others = record
            .as_ref()
            .is_some_and(|record| !is_client(record.client_id.as_deref(), arrival.client_id.as_deref()));
        let remembered = record.filter(|_| !is_others);
        let answer = match answer {
            Answer::Again(_) if is_others => Answer::Notice(Refused::UnknownSession.into()),
            Answer::Again(_) if remembered.is_none() => Answer::Notice(Notice::MayHaveRunAndGone),
            answer => answer,
        };
        let has_context =
            arrival.context.is_some() || remembered.as_ref().is_some_and(|record| record.knows_context);
        let own = remembered.map(|record| ReplyTo::Address(record.reply));
        let (to, place) = match answer {
            // to nobody but whose it is
            Answer::Again(_) => (allowed(own, &self.rules), None),
            Answer::Notice(_) => {
                let places = named_place(arrival).into_iter().chain(own);
                (allowed(places, &self.rules), allowed(arrival.reply.clone(), &self.rules).ok())
            }
        };
        let to = match to {
            Ok(to) => to,
            Err(unheard) => {
                self.unheard(&unheard, arrival);
                return Settled::Done;
            }
        };
        let (message, gone) = match answer {
            Answer::Notice(notice) => (notice.answer(request.id().clone()), notice.is_gone()),
            Answer::Again(text) => {
                let Ok(Message::Response(answer)) = Message::parse(text) else {
                    tracing::error!("an answer that was kept is no response");
                    return Settled::Dead("its answer was kept, but cannot be read".into());
                };
                let gone = is_cut_off(&answer);
                (answer, gone)
            }
        };
        let courier = Courier {
            intake: Arc::clone(&self.intake),
            metrics: self.metrics.clone(),
            session: Some(session.clone()),
            to,
            has_context,
            payloads: payloads_of(arrival),
        };
        let context = ProxyContext { gone, ..plain_context() };
        let sent = courier.answer(place, context, message).await;
        self.after_answer(sent, &arrival.delivery)
    }
}
