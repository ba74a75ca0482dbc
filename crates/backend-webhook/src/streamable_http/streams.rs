//! What is open for each route: the responses that answers are waited for on, and the standalone stream.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proxy_core::id::{RouteKey, WireId};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a response must have been silent before an answer that came by callback is handed over: the two travel by different
/// connections, and a busy Python server needs some turns of its loop to write an event.
const QUIET: Duration = Duration::from_millis(50);

/// How long an answer is held back at most, however much is still said.
const LONGEST_QUIET: Duration = Duration::from_secs(1);

/// The open streams of all routes. As many as there are requests without an answer, and one more a session.
#[derive(Debug, Default)]
pub(super) struct Streams {
    routes: Mutex<HashMap<RouteKey, Route>>,
    called_back: AtomicBool,
}

#[derive(Debug, Default)]
struct Route {
    /// The responses that answers are waited for on, by the number of the request.
    waiting: HashMap<u64, Arc<Response>>,
    /// What ends the standalone stream.
    listening: Option<CancellationToken>,
}

/// A response that an answer is waited for on, as long as this lives.
#[derive(Debug)]
pub(super) struct Waiting {
    streams: Arc<Streams>,
    wire: WireId,
    /// The response.
    pub(super) response: Arc<Response>,
}

/// What is known of a response while it is open.
#[derive(Debug)]
pub(super) struct Response {
    /// Fires once there is nothing to wait for any more: the answer came another way, its client cancelled it, the session ended.
    pub(super) over: CancellationToken,
    /// Whether the request asks for progress.
    wants_progress: bool,
    /// When the last event came.
    heard: Mutex<Option<Instant>>,
}

impl Streams {
    /// Before a request is sent: its answer may come by callback before its response has a head.
    pub(super) fn wait_for(self: &Arc<Self>, wire: WireId, wants_progress: bool) -> Waiting {
        let response = Response { over: CancellationToken::new(), wants_progress, heard: Mutex::default() };
        let response = Arc::new(response);
        let mut routes = self.routes();
        let route = routes.entry(wire.route().clone()).or_default();
        route.waiting.insert(wire.number(), Arc::clone(&response));
        drop(routes);
        Waiting { streams: Arc::clone(self), wire, response }
    }

    /// The open response to this request, if something that belongs before the answer may still come on it.
    pub(super) fn talkative(&self, wire: &WireId) -> Option<Arc<Response>> {
        let routes = self.routes();
        let response = routes.get(wire.route())?.waiting.get(&wire.number())?;
        (response.wants_progress || response.heard().is_some()).then(|| Arc::clone(response))
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
        if let Some(response) = waiting {
            response.over.cancel();
        }
    }

    /// An answer comes by callback.
    pub(super) fn note_callback(&self) {
        self.called_back.store(true, Ordering::Relaxed);
    }

    /// An answer came by callback.
    pub(super) fn answered(&self, wire: &WireId) {
        self.note_callback();
        self.end(wire);
    }

    /// Whether an answer ever came by callback, so that one may still come that way when a response breaks.
    pub(super) fn called_back(&self) -> bool {
        self.called_back.load(Ordering::Relaxed)
    }

    /// Ends everything that is open for a route.
    pub(super) fn close(&self, route: &RouteKey) {
        let closed = self.routes().remove(route);
        let Some(Route { waiting, listening }) = closed else { return };
        for over in waiting.values().map(|response| &response.over).chain(&listening) {
            over.cancel();
        }
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<RouteKey, Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Response {
    /// An event came.
    pub(super) fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Waits until nothing has come for [`QUIET`], at most for [`LONGEST_QUIET`].
    pub(super) async fn quiet(&self) {
        let begin = Instant::now();
        loop {
            let last = self.heard().map_or(begin, |heard| heard.max(begin));
            let until = (last + QUIET).min(begin + LONGEST_QUIET);
            if Instant::now() >= until {
                return;
            }
            tokio::select! {
                () = self.over.cancelled() => return,
                () = sleep_until(until) => {}
            }
        }
    }

    fn heard(&self) -> Option<Instant> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
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
        let first = streams.wait_for(WireId::new(route.clone(), 1), false);
        let second = streams.wait_for(WireId::new(route.clone(), 2), false);
        streams.answered(&WireId::new(route.clone(), 1));
        assert!(
            first.response.over.is_cancelled()
                && !second.response.over.is_cancelled()
                && streams.called_back()
        );
        drop((first, second));
        assert!(streams.routes().is_empty());
    }

    #[test]
    fn a_route_has_one_standalone_stream_and_closing_ends_all() {
        let streams = Arc::new(Streams::default());
        let route = RouteKey::random(&InstanceId::random());
        let waiting = streams.wait_for(WireId::new(route.clone(), 1), false);
        let listening = streams.listen(&route).unwrap();
        assert!(streams.listen(&route).is_none());
        streams.close(&route);
        assert!(waiting.response.over.is_cancelled() && listening.is_cancelled() && !streams.called_back());
        drop(waiting);
        assert!(streams.routes().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_waits_until_its_response_is_quiet_but_not_for_ever() {
        let streams = Arc::new(Streams::default());
        let route = RouteKey::random(&InstanceId::random());
        let silent = streams.wait_for(WireId::new(route.clone(), 1), false);
        assert!(streams.talkative(silent.wire()).is_none());
        let begin = Instant::now();
        let waiting = streams.wait_for(WireId::new(route, 2), true);
        let response = &waiting.response;
        response.quiet().await;
        assert_eq!(begin.elapsed(), QUIET);
        let talking = async {
            loop {
                sleep_until(Instant::now() + QUIET / 2).await;
                response.hear();
            }
        };
        tokio::select! {
            () = talking => {}
            () = response.quiet() => {}
        }
        assert_eq!(begin.elapsed(), QUIET + LONGEST_QUIET);
    }
}
