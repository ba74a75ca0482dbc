//! A small MCP server of the legacy era, run by a test: it behaves as asyncmcp's does on a queue, answers as fast as it can, and
//! remembers everything that it received.
//!
//! Sessions go by route key. What comes for a session that was never initialized is dropped in silence.

mod answer;
mod serve;
#[cfg(test)]
mod tests;
mod tools;

use std::sync::Arc;

use proxy_core::{
    backend::{Disposition, Inbound, Outbound},
    id::RouteKey,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{
    counted::wait_for,
    memory::{FarEnd, ReturnPath},
};

/// A running server. It stops when it is dropped.
///
/// Its tools (`tools/call`), all with optional arguments:
///
/// | tool | arguments | does |
/// |---|---|---|
/// | `echo` | `text` | answers with the text |
/// | `slow` | `progress`: a number | sends that many progress notifications if it was given a token, then waits for [`Self::release_slow`] |
/// | `log` | `text`, `count` | sends that many log messages (1) and answers |
/// | `ask` | `method`, `params` | sends this request (`roots/list`) to the client, and answers with the client's answer as text |
/// | `fail` | | answers with the JSON-RPC error [`TOOL_FAILED`] |
/// | `silent` | | never answers |
/// | `big` | `bytes` | answers with a text of that many bytes (1 MiB) |
///
/// Cancelling `slow` or `ask` stops it without an answer.
#[derive(Debug)]
pub struct ScriptedServer {
    shared: Arc<Shared>,
    return_path: ReturnPath,
    _tasks: JoinSet<()>,
}

/// The code of the error that the tool `fail` ends with.
pub const TOOL_FAILED: i64 = -32050;

#[derive(Debug)]
struct Shared {
    /// `None` where nothing is to be remembered.
    received: Option<watch::Sender<Vec<Outbound>>>,
    /// A permit lets one call of `slow` end.
    slow_permits: Semaphore,
    /// How many calls of `slow` have sent their progress and wait.
    slow_waiting: watch::Sender<usize>,
    /// Counts up whenever every session is to be forgotten.
    restarts: watch::Sender<usize>,
}

impl ScriptedServer {
    /// Starts at this far end.
    pub fn start(far_end: FarEnd) -> Self {
        Self::start_with(far_end, Some(watch::Sender::default()))
    }

    /// Starts at this far end, remembering nothing: for load.
    pub fn start_for_load(far_end: FarEnd) -> Self {
        Self::start_with(far_end, None)
    }

    fn start_with(far_end: FarEnd, received: Option<watch::Sender<Vec<Outbound>>>) -> Self {
        let return_path = far_end.return_path();
        let shared = Arc::new(Shared {
            received,
            slow_permits: Semaphore::new(0),
            slow_waiting: watch::Sender::new(0),
            restarts: watch::Sender::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve::serve(far_end, Arc::clone(&shared)));
        Self { shared, return_path, _tasks: tasks }
    }

    /// Everything received so far, in order.
    pub fn received(&self) -> Vec<Outbound> {
        self.shared.received.as_ref().map(|received| received.borrow().clone()).unwrap_or_default()
    }

    /// Everything received so far under one route key, in order.
    pub fn received_from(&self, route: &RouteKey) -> Vec<Outbound> {
        self.received().into_iter().filter(|outbound| outbound.remote.route == *route).collect()
    }

    /// The route keys of everything received so far, each once, in the order of their first messages.
    pub fn routes(&self) -> Vec<RouteKey> {
        let mut routes = Vec::new();
        for outbound in self.received() {
            if !routes.contains(&outbound.remote.route) {
                routes.push(outbound.remote.route);
            }
        }
        routes
    }

    /// Whether this text stands anywhere in what was received: a client's token or session id never does.
    pub fn has_seen(&self, text: &str) -> bool {
        self.received().iter().any(|outbound| {
            outbound.message.as_str().contains(text) || outbound.remote.route.as_str().contains(text)
        })
    }

    /// Waits for a message that satisfies the condition, an earlier one included, and returns the first. `None` for a server that
    /// remembers nothing.
    pub async fn wait_for(&self, condition: impl Fn(&Outbound) -> bool) -> Option<Outbound> {
        let mut received = self.shared.received.as_ref()?.subscribe();
        let messages = received.wait_for(|messages| messages.iter().any(&condition)).await.ok()?;
        messages.iter().find(|outbound| condition(outbound)).cloned()
    }

    /// Waits for a request or notification with this method, and returns the first.
    pub async fn wait_for_method(&self, method: &str) -> Option<Outbound> {
        self.wait_for(|outbound| outbound.message.method() == Some(method)).await
    }

    /// Lets this many calls of `slow` end, waiting ones or later ones.
    pub fn release_slow(&self, calls: usize) {
        self.shared.slow_permits.add_permits(calls);
    }

    /// Waits until at least this many calls of `slow` have sent their progress and wait for their release.
    pub async fn wait_for_slow(&self, calls: usize) {
        wait_for(&self.shared.slow_waiting, |waiting| *waiting >= calls).await;
    }

    /// Forgets every session, as a server that was restarted: what comes for one is dropped in silence from now on.
    pub fn restart(&self) {
        self.shared.restarts.send_modify(|restarts| *restarts += 1);
    }

    /// Hands anything to the proxy in the server's name.
    pub async fn deliver(&self, inbound: Inbound) -> Disposition {
        self.return_path.deliver(inbound).await
    }

    /// The server's way to the proxy.
    pub fn return_path(&self) -> &ReturnPath {
        &self.return_path
    }
}
