//! The state behind its lock, with a clock: what backends deliver into and what the proxy drives.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::registry::Registry;
use tokio::{sync::Notify, time::Instant};
use tracing::field::Empty;

use crate::{
    backend::{Inbound, Inbox, Settlement},
    config::SessionConfig,
    id::InstanceId,
    metrics::{Metrics, ReasonLabel},
    refusal::Refusal,
    state::{Outgoing, State, memory::Memory},
};

/// Finds out whose a received message is. Built first, since a backend is built with it as its [`Inbox`]; knows no backend.
pub struct Router {
    state: Mutex<State>,
    memory: Arc<Memory>,
    metrics: Metrics,
    /// Something was put into the outbox, or a deadline is nearer than before.
    pub(crate) changed: Notify,
    /// The last exchange in flight ended.
    pub(crate) ended: Notify,
}

impl Router {
    /// A router for this instance. `max_memory` bounds the bytes of messages that wait for the
    /// transport or for clients, or can be replayed to them.
    pub fn new(
        instance: InstanceId,
        config: SessionConfig,
        max_memory: usize,
        registry: &mut Registry,
    ) -> Arc<Self> {
        let metrics = Metrics::register(registry);
        let memory = Memory::new(max_memory);
        let state = State::new(instance, config, Arc::clone(&memory), metrics.clone());
        Arc::new(Self {
            state: Mutex::new(state),
            memory,
            metrics,
            changed: Notify::new(),
            ended: Notify::new(),
        })
    }

    /// The bytes of messages that wait for clients or can be replayed to them.
    pub fn memory_used(&self) -> usize {
        self.memory.used()
    }

    /// Runs one transition, and takes what is to be sent after it.
    pub(crate) fn transition<T>(&self, run: impl FnOnce(&mut State, Instant) -> T) -> (T, Vec<Outgoing>) {
        self.update(|state, now| {
            let result = run(state, now);
            (result, state.take_outbox())
        })
    }

    /// Runs one transition that may refuse a client, and counts the refusal.
    pub(crate) fn admit<T>(
        &self,
        run: impl FnOnce(&mut State, Instant) -> Result<T, Refusal>,
    ) -> Result<(T, Vec<Outgoing>), Refusal> {
        let result = self.update(|state, now| run(state, now).map(|result| (result, state.take_outbox())));
        if let Err(refusal) = &result {
            self.metrics.refusals.get_or_create(&ReasonLabel { reason: refusal.reason() }).inc();
        }
        result
    }

    /// Runs one transition, and wakes whoever has to act on it.
    pub(crate) fn update<T>(&self, run: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let (deadline, in_flight) = (state.next_deadline(), state.exchange_count());
        let result = run(&mut state, Instant::now());
        let changed = state.has_outgoing() || is_nearer(state.next_deadline(), deadline);
        let ended = in_flight > 0 && state.exchange_count() == 0;
        drop(state);
        if changed {
            self.changed.notify_one();
        }
        if ended {
            self.ended.notify_waiters();
        }
        result
    }

    /// Looks without changing anything.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&State) -> T) -> T {
        at(&self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox for Router {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        let span = tracing::debug_span!(
            "deliver",
            messaging.message.id = inbound.message_id.as_deref(),
            disposition = Empty
        );
        let disposition = span.in_scope(|| self.update(|state, now| state.route(inbound, now)));
        span.record("disposition", disposition.as_str());
        Settlement::Now(disposition)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Router").field("memory_used", &self.memory_used()).finish_non_exhaustive()
    }
}

fn is_nearer(now: Option<Instant>, before: Option<Instant>) -> bool {
    match (now, before) {
        (Some(now), Some(before)) => now < before,
        (Some(_), None) => true,
        (None, _) => false,
    }
}
