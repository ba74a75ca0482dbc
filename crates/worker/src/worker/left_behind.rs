//! What a process before this one had in hand when it died: its clients are told at once, and not when their requests come again, which
//! over HTTP they never do.
//!
//! None of it can be running: a ledger has one process at a time. It is done beside everything else, so that no start waits for it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{StreamExt as _, stream};
use proxy_core::{
    ProxyContext, ReplyAddress,
    id::RemoteSession,
    intake::ReplyTo,
    message::{Message, RequestId},
};
use tokio::sync::OnceCell;

use crate::{
    courier::{Courier, TELL_TIME, allowed, plain_context},
    ledger::{CallKey, LeftBehind},
    metrics::Found,
    notice::{Notice, is_cut_off},
    shared::Shared,
};

/// How many clients are told at once.
const AT_ONCE: usize = 16;

/// The most calls of which it is remembered that they were told. Of others a client may be told once more, by a redelivery.
const MOST_TOLD: usize = 16_384;

/// Fires once a client was told what became of a call, whoever did that. Who comes second while it is tried waits, and tries if it fails.
pub(crate) type Once = Arc<OnceCell<()>>;

/// Which of the calls that were left behind are told, or were.
#[derive(Debug, Default)]
pub(crate) struct Told {
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    /// By key and incarnation.
    by_call: HashMap<(CallKey, u64), Once>,
    /// All were found that were left behind.
    is_complete: bool,
}

impl Told {
    /// What tells whether this call's client was told: a session that was begun anew has other calls under the same keys. What is not
    /// remembered was not told.
    pub(crate) fn of(&self, key: &CallKey, incarnation: u64) -> Once {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let Calls { by_call, is_complete } = &mut *calls;
        let call = (key.clone(), incarnation);
        if let Some(once) = by_call.get(&call) {
            return Arc::clone(once);
        }
        let once = Once::default();
        if !*is_complete && by_call.len() < MOST_TOLD {
            by_call.insert(call, Arc::clone(&once));
        }
        once
    }

    fn complete(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).is_complete = true;
    }
}

impl Shared {
    /// Tells the clients of the calls that were left behind, unless the worker ends: then the next one does it.
    pub(super) async fn tell_left_behind(self: Arc<Self>) {
        let telling = async {
            let (mut next, unreachable) = (Some(self.ledger.latest_left_behind().clone()), Mutex::default());
            while let Some(page) = next {
                // Answers first: the word that its session is gone ends all that a client waits for in it.
                let (answered, begun): (Vec<_>, Vec<_>) =
                    page.calls.iter().cloned().partition(|call| call.is_answered);
                for calls in [answered, begun] {
                    let calls = stream::iter(calls);
                    calls.for_each_concurrent(AT_ONCE, |call| self.tell(call, &unreachable)).await;
                }
                next = match self.ledger.left_behind_before(&page).await {
                    Ok(next) => next,
                    Err(error) => {
                        tracing::error!(%error, "not all clients of calls that were in hand are told at once");
                        return;
                    }
                };
            }
            self.told.complete();
        };
        tokio::select! {
            () = telling => {}
            () = self.draining.cancelled() => {}
        }
    }

    async fn tell(&self, call: LeftBehind, unreachable: &Mutex<HashSet<Box<str>>>) {
        let Some((session, id)) = call.key.parts() else { return };
        let Some((courier, host)) = self.way_to(&session, &call).await else {
            return self.metrics.left_behind(Found::Unheard);
        };
        let is_reachable = || !unreachable.lock().unwrap_or_else(PoisonError::into_inner).contains(&host);
        let told = self.told.of(&call.key, call.incarnation);
        let telling = told.get_or_try_init(|| async {
            if !is_reachable() {
                return Err(());
            }
            self.say_what_became_of(&call, id, &courier).await.map_err(|is_passing| {
                if is_passing {
                    unreachable.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone());
                }
            })
        });
        match telling.await {
            Ok(()) => self.ledger.told(call),
            Err(()) => self.metrics.left_behind(Found::NotSent),
        }
    }

    /// Says it. The error tells whether it may pass.
    async fn say_what_became_of(
        &self,
        call: &LeftBehind,
        id: RequestId,
        courier: &Courier,
    ) -> Result<(), bool> {
        let lost = Notice::MayHaveRunAndGone.answer(id);
        let answer = self.ledger.give_up(call, lost.as_str()).await.map_err(|error| {
            tracing::warn!(%error, "the client of a call that was in hand is not told at once");
            false
        })?;
        let Some(answer) = answer else { return Ok(()) };
        let Ok(Message::Response(answer)) = Message::parse(answer) else {
            tracing::error!("an answer that was kept is no response");
            return Err(false);
        };
        if courier.session.as_ref().is_some_and(|session| self.sessions.find(session).is_some()) {
            // begun anew meanwhile, with requests under the same ids
            self.metrics.left_behind(Found::Unheard);
            return Ok(());
        }
        let gone = is_cut_off(&answer);
        let context = ProxyContext { gone, ..plain_context() };
        courier
            .answer_within(TELL_TIME, None, context, answer)
            .await
            .map_err(|error| error.kind().is_retryable())?;
        self.metrics.left_behind(if gone { Found::SessionGone } else { Found::AnsweredAgain });
        Ok(())
    }

    /// The way to the client of a call that was left behind, and what is at its end. `None`: nobody there waits for it, or nothing may
    /// be written there.
    async fn way_to(&self, session: &RemoteSession, call: &LeftBehind) -> Option<(Courier, Box<str>)> {
        let record = self.ledger.session(session).await?;
        // Another session of this name counts its requests from the beginning.
        if record.incarnation != call.incarnation || self.sessions.find(session).is_some() {
            return None;
        }
        let host = host_of(&record.reply);
        let to = allowed(Some(ReplyTo::Address(record.reply)), &self.rules).ok()?;
        let courier = Courier {
            intake: Arc::clone(&self.intake),
            metrics: self.metrics.clone(),
            session: Some(session.clone()),
            to,
            has_context: record.knows_context,
            payloads: record.payloads,
        };
        Some((courier, host))
    }
}

/// What has to be there for an address to be reached: for a URL, of which each session has its own, scheme and authority.
fn host_of(address: &ReplyAddress) -> Box<str> {
    match address {
        ReplyAddress::Sqs(text) | ReplyAddress::Sns(text) => text.clone(),
        ReplyAddress::Url(url) => url.split('/').take(3).collect::<Vec<_>>().join("/").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_in_one_life_of_a_session_is_not_said_of_the_next() {
        let key = CallKey::new(&RemoteSession::parse("s").unwrap(), &RequestId::number(1));
        let told = Told::default();
        told.of(&key, 1).set(()).unwrap();
        assert!(told.of(&key, 1).initialized());
        assert!(!told.of(&key, 2).initialized());
    }

    #[test]
    fn a_host_is_what_its_urls_have_in_common() {
        let host = |url: &str| host_of(&ReplyAddress::Url(url.into()));
        assert_eq!(host("https://h:1/a/b"), host("https://h:1/c"));
        assert_ne!(host("https://h:1/a"), host("https://h:2/a"));
    }
}
