//! The sessions that are here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proxy_core::id::RemoteSession;

use crate::session::Session;

/// Finds sessions, by their ids and by the messages that opened them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    table: Mutex<Table>,
}

/// The sessions, while nobody else changes them.
#[derive(Debug, Default)]
pub(crate) struct Table {
    by_id: HashMap<RemoteSession, Arc<Session>>,
    /// By the transport's id of their `initialize`: where the client proposes no session id, nothing else tells a second delivery.
    by_message: HashMap<Box<str>, RemoteSession>,
}

impl Sessions {
    /// The table, locked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session with this id.
    pub(crate) fn find(&self, id: &RemoteSession) -> Option<Arc<Session>> {
        self.lock().find(id)
    }

    /// Takes a session out.
    pub(crate) fn remove(&self, session: &Arc<Session>) {
        self.lock().remove(session);
    }
}

impl Table {
    /// The session with this id.
    pub(crate) fn find(&self, id: &RemoteSession) -> Option<Arc<Session>> {
        self.by_id.get(id).map(Arc::clone)
    }

    /// The session that was opened by the message with this id.
    pub(crate) fn opened_by(&self, message: &str) -> Option<Arc<Session>> {
        self.by_message.get(message).and_then(|id| self.find(id))
    }

    /// Takes a session out, if it is there.
    pub(crate) fn remove(&mut self, session: &Arc<Session>) {
        if !self.by_id.get(&session.id).is_some_and(|found| Arc::ptr_eq(found, session)) {
            return;
        }
        self.by_id.remove(&session.id);
        if let Some(message) = &session.opened_by {
            self.by_message.remove(message);
        }
    }

    /// Adds a session.
    pub(crate) fn insert(&mut self, session: Arc<Session>) {
        if let Some(message) = &session.opened_by {
            self.by_message.insert(message.clone(), session.id.clone());
        }
        self.by_id.insert(session.id.clone(), session);
    }
}
