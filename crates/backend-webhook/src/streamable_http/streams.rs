//! What is open for each route: the responses that answers are waited for on, and the standalone stream.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use proxy_core::id::{RouteKey, WireId};
use tokio_util::sync::CancellationToken;

/// The open streams of all routes. As many as there are requests without an answer, and one more a session.
#[derive(Debug, Default)]
pub(super) struct Streams {
    routes: Mutex<HashMap<RouteKey, Route>>,
    called_back: AtomicBool,
}

#[derive(Debug, Default)]
struct Route {
    /// By the number of the request, what ends the wait for its answer.
    waiting: HashMap<u64, CancellationToken>,
    /// What ends the standalone stream.
    listening: Option<CancellationToken>,
}

/// A response that an answer is waited for on, as long as this lives.
#[derive(Debug)]
pub(super) struct Waiting {
    streams: Arc<Streams>,
    wire: WireId,
    /// Fires once there is nothing to wait for any more: the answer came another way, its client cancelled it, the session ended.
    pub(super) over: CancellationToken,
}

impl Streams {
    /// Before a request is sent: its answer may come by callback before its response has a head.
    pub(super) fn wait_for(self: &Arc<Self>, wire: WireId) -> Waiting {
        let over = CancellationToken::new();
        let mut routes = self.routes();
        let route = routes.entry(wire.route().clone()).or_default();
        route.waiting.insert(wire.number(), over.clone());
        drop(routes);
        Waiting { streams: Arc::clone(self), wire, over }
    }

    /// Before the standalone stream of a route is opened; `None` where there is one.
    pub(super) fn listen(&self, route: &RouteKey) -> Option<CancellationToken> {
        let mut routes = self.routes();
        let listening = &mut routes.entry(route.clone()).or_default().listening;
        if listening.is_some() {
            return None;
        }
        Some(listening.insert(CancellationToken::new()).clone())
    }

    /// Nobody waits for the answer to this request on its own response any more.
    pub(super) fn end(&self, wire: &WireId) {
        let waiting =
            self.routes().get_mut(wire.route()).and_then(|route| route.waiting.remove(&wire.number()));
        if let Some(over) = waiting {
            over.cancel();
        }
    }

    /// An answer came by callback.
    pub(super) fn answered(&self, wire: &WireId) {
        self.called_back.store(true, Ordering::Relaxed);
        self.end(wire);
    }

    /// Whether an answer ever came by callback, so that one may still come that way when a response breaks.
    pub(super) fn called_back(&self) -> bool {
        self.called_back.load(Ordering::Relaxed)
    }

    /// Ends everything that is open for a route.
    pub(super) fn close(&self, route: &RouteKey) {
        let closed = self.routes().remove(route);
        for over in closed.into_iter().flat_map(|route| route.waiting.into_values().chain(route.listening)) {
            over.cancel();
        }
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<RouteKey, Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// The request.
    pub(super) fn wire(&self) -> &WireId {
        &self.wire
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut routes = self.streams.routes();
        if let Some(route) = routes.get_mut(self.wire.route()) {
            route.waiting.remove(&self.wire.number());
            if route.waiting.is_empty() && route.listening.is_none() {
                routes.remove(self.wire.route());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proxy_core::id::InstanceId;

    use super::*;

    #[test]
    fn what_is_over_is_forgotten() {
        let streams = Arc::new(Streams::default());
        let route = RouteKey::random(&InstanceId::random());
        let first = streams.wait_for(WireId::new(route.clone(), 1));
        let second = streams.wait_for(WireId::new(route.clone(), 2));
        streams.answered(&WireId::new(route.clone(), 1));
        assert!(first.over.is_cancelled() && !second.over.is_cancelled() && streams.called_back());
        drop((first, second));
        assert!(streams.routes().is_empty());
    }

    #[test]
    fn a_route_has_one_standalone_stream_and_closing_ends_all() {
        let streams = Arc::new(Streams::default());
        let route = RouteKey::random(&InstanceId::random());
        let waiting = streams.wait_for(WireId::new(route.clone(), 1));
        let listening = streams.listen(&route).unwrap();
        assert!(streams.listen(&route).is_none());
        streams.close(&route);
        assert!(waiting.over.is_cancelled() && listening.is_cancelled() && !streams.called_back());
        drop(waiting);
        assert!(streams.routes().is_empty());
    }
}
