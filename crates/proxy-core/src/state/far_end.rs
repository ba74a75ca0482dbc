//! Which session id the far end goes by, and what becomes of a session that it does not know any more.
//!
//! We propose the route key as the session id. A far end that takes another one says so in a receipt, in a response head or in its
//! answer to `initialize`; from then on what names yet another id is not this session's.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Key, State, close::Closing, exchange::Ending, session::Phase};
use crate::{
    backend::{Peer, Remote},
    error::BackendError,
    id::{RemoteSession, RouteKey},
};

impl State {
    /// Whether a message that names this session of the far end's can be the session's. While `initialize` is in flight nobody knows
    /// the far end's id, so everything can.
    pub(super) fn is_from(&self, key: Key, named: Option<&RemoteSession>) -> bool {
        let (Some(session), Some(named)) = (self.sessions.get(&key), named) else { return true };
        if session.phase == Phase::Opening || is_proposed(&session.remote.route, named) {
            return true;
        }
        match own_session(&session.remote) {
            Some(own) => own == named,
            None => !session.took_proposed,
        }
    }

    /// Takes in what the far end says of itself in its answer to `initialize`; `routed`: its envelope names the route.
    pub(super) fn learn_peer(&mut self, key: Key, peer: Option<Peer>, routed: bool) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let remote = &mut session.remote;
        let known = own_session(remote).cloned();
        if let Some(mut peer) = peer {
            peer.session = peer.session.filter(|named| !is_proposed(&remote.route, named)).or(known);
            remote.peer = Some(Arc::new(peer));
        }
        session.took_proposed = routed && own_session(remote).is_none();
    }

    /// Takes in the session id that a receipt or response head names. That of `initialize` decides, where nothing else was said.
    pub(super) fn learn_session(&mut self, key: Key, named: Option<RemoteSession>, of_initialize: bool) {
        let (Some(session), Some(named)) = (self.sessions.get_mut(&key), named) else { return };
        let own = own_session(&session.remote);
        if is_proposed(&session.remote.route, &named) {
            session.took_proposed |= own.is_none();
        } else if own.is_none() && (of_initialize || !session.took_proposed) {
            session.took_proposed = false;
            store_session(&mut session.remote, named);
        } else if own != Some(&named) {
            self.metrics.discard("wrong_session");
        }
    }

    /// The far end does not know the session any more: ends the exchange that showed it with the error itself, and the session.
    pub(super) fn lose_session(
        &mut self,
        key: Key,
        exchange: Option<u64>,
        error: &BackendError,
        now: Instant,
    ) {
        let Some(session) = self.sessions.get(&key) else { return };
        tracing::info!(route = ?session.remote.route, error.r#type = error.kind().as_str(), "the far end does not know a session any more");
        if let Some(number) = exchange {
            self.end_exchange(key, number, Ending::Failed(error), now);
        }
        self.close_session(key, Closing::Gone, now);
    }
}

/// Notes the far end's own session id where none is known.
pub(super) fn store_session(remote: &mut Remote, named: RemoteSession) {
    if own_session(remote).is_some() || is_proposed(&remote.route, &named) {
        return;
    }
    let peer = remote.peer.get_or_insert_with(|| Arc::new(Peer::default()));
    Arc::make_mut(peer).session = Some(named);
}

fn own_session(remote: &Remote) -> Option<&RemoteSession> {
    remote.peer.as_ref().and_then(|peer| peer.session.as_ref())
}

fn is_proposed(route: &RouteKey, named: &RemoteSession) -> bool {
    route.as_str() == named.as_str()
}
