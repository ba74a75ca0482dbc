//! A queue that workers read: at least once, acknowledged by what became of a message.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use futures_util::future::BoxFuture;
use proxy_core::{
    ProxyContext,
    id::RemoteSession,
    intake::{Arrival, ArrivalEvent, Delivery, Desk, Receipt, Refused, ReplyTo, Settled, Stopping, Taken},
    message::Message,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::Instant,
};

use crate::{
    counted::wait_for,
    intake_contract::{DeadLetter, Envelope},
};

#[derive(Debug, Default)]
pub(super) struct Queue {
    messages: Mutex<Messages>,
    /// There is something to receive.
    arrived: Notify,
    len: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Messages {
    next: u64,
    stored: BTreeMap<u64, Stored>,
}

#[derive(Debug)]
struct Stored {
    envelope: Envelope,
    sent: SystemTime,
    receive_count: u32,
    /// When it can be received; `None` while it is in hand.
    visible_at: Option<Instant>,
}

impl Queue {
    pub(super) fn put(&self, envelope: Envelope) {
        let mut messages = self.lock();
        let number = messages.next;
        messages.next += 1;
        let stored =
            Stored { envelope, sent: SystemTime::now(), receive_count: 0, visible_at: Some(Instant::now()) };
        messages.stored.insert(number, stored);
        self.len.send_replace(messages.stored.len());
        drop(messages);
        self.arrived.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().stored.len()
    }

    pub(super) async fn wait_for_len(&self, count: usize) {
        wait_for(&self.len, |len| *len <= count).await;
    }

    /// Makes everything visible.
    pub(super) fn redeliver(&self) {
        let now = Instant::now();
        self.lock().stored.values_mut().for_each(|stored| stored.visible_at = Some(now));
        self.arrived.notify_one();
    }

    /// Receives, hands over and settles until it is told to stop, and then until nothing is in hand. A queue that others read too is
    /// not received from any more once it drains.
    pub(super) async fn pump(
        &self,
        desk: &dyn Desk,
        tell: &(dyn Fn(&Receipt) + Sync),
        stopping: &Stopping,
        is_own: bool,
        dead: &Mutex<Vec<DeadLetter>>,
    ) {
        let ends = if is_own { &stopping.stop } else { &stopping.drain };
        let mut pending: JoinSet<(u64, Settled)> = JoinSet::new();
        while !stopping.stop.is_cancelled() || !pending.is_empty() {
            let receives = !ends.is_cancelled() && !stopping.stop.is_cancelled();
            let next_at = if receives {
                for (number, received) in self.receive(is_own) {
                    let Taken { receipt, settled } = match received {
                        Ok(arrival) => desk.take(arrival),
                        Err(taken) => taken,
                    };
                    tell(&receipt);
                    pending.spawn(settle(number, settled));
                }
                self.next_at()
            } else {
                None
            };
            let visible = async {
                match next_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ends.cancelled(), if receives => {}
                () = stopping.stop.cancelled(), if !stopping.stop.is_cancelled() => {}
                Some(settled) = pending.join_next() => match settled {
                    Ok((number, settled)) => self.settle(number, settled, dead),
                    Err(error) => tracing::error!(%error, "a settlement failed"),
                },
                () = self.arrived.notified(), if receives => {}
                () = visible => {}
            }
        }
        // another worker may wait for what this one was told of
        self.arrived.notify_one();
    }

    /// Takes what can be received into hand.
    fn receive(&self, to_owner: bool) -> Vec<(u64, Result<Arrival, Taken>)> {
        let now = Instant::now();
        let mut messages = self.lock();
        let visible =
            messages.stored.iter_mut().filter(|(_, stored)| stored.visible_at.is_some_and(|at| at <= now));
        visible
            .map(|(number, stored)| {
                stored.visible_at = None;
                stored.receive_count += 1;
                (*number, decode(*number, stored, to_owner))
            })
            .collect()
    }

    fn next_at(&self) -> Option<Instant> {
        self.lock().stored.values().filter_map(|stored| stored.visible_at).min()
    }

    fn settle(&self, number: u64, settled: Settled, dead: &Mutex<Vec<DeadLetter>>) {
        let mut messages = self.lock();
        match settled {
            Settled::Done => drop(messages.stored.remove(&number)),
            Settled::GiveBack(hidden) => {
                if let Some(stored) = messages.stored.get_mut(&number) {
                    stored.visible_at = Some(Instant::now() + hidden);
                }
            }
            Settled::Dead(reason) => {
                if let Some(stored) = messages.stored.remove(&number) {
                    let letter = DeadLetter { body: stored.envelope.body, reason: Some(reason.into()) };
                    dead.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
                }
            }
        }
        self.len.send_replace(messages.stored.len());
    }

    fn lock(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn settle(number: u64, settled: BoxFuture<'static, Settled>) -> (u64, Settled) {
    (number, settled.await)
}

/// What the desk takes, or what becomes of what is no message.
fn decode(number: u64, stored: &Stored, to_owner: bool) -> Result<Arrival, Taken> {
    let Envelope { owner: _, session, client_id, version, reply, context, body } = stored.envelope.clone();
    let message = Message::parse(body).map_err(|error| {
        tracing::warn!(%error, "a message that is no JSON-RPC message is removed");
        let refused = Refused::Invalid(error.to_string().into());
        Taken { receipt: Receipt::Refused(refused), settled: Box::pin(async { Settled::Done }) }
    })?;
    let context = context.as_deref().and_then(ProxyContext::parse);
    let named = context.as_ref().and_then(|context| context.reply.clone());
    let ends = context.as_ref().is_some_and(|context| context.end);
    Ok(Arrival {
        session: session.and_then(|text| RemoteSession::parse(&text).ok()),
        client_id: client_id.map(Into::into),
        version: version.map(Into::into),
        reply: named.or(reply).map(ReplyTo::Address),
        context,
        delivery: Delivery {
            message_id: Some(format!("message-{number}").into()),
            receive_count: stored.receive_count,
            sent: stored.sent,
            to_owner,
        },
        event: if ends { ArrivalEvent::End } else { ArrivalEvent::Message(message) },
    })
}
