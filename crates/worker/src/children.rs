//! A backend whose far end are child processes: one ordinary MCP server over stdio for each session.
//!
//! To read it: `session` (the life of one server), `reader` and `mailbox` (its pipes), `launch` (the seam), then `processes`, `group` and
//! `watchdog` (how a process is started, and that it ends whatever happens), `helpers` (what the worker's own program does under them).

mod config;
mod group;
mod helpers;
mod launch;
mod limits;
mod mailbox;
mod metrics;
mod processes;
mod program;
mod reader;
mod session;
mod stderr;
mod usage;
mod watchdog;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    backend::{Backend, Inbox, Limits, Outbound, Remote, Sent},
    error::{BackendError, ErrorKind},
    id::RouteKey,
    message::{Message, RequestId},
};
use tokio::time::Instant;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use self::{
    metrics::ChildMetrics,
    processes::Processes,
    session::{GONE, Session},
};

pub use self::{
    config::ServerConfig,
    helpers::{launch, watch},
    launch::{Ended, Launch, Launched, Running},
    processes::Launcher,
};

/// Its name in metrics and in spans.
const NAME: &str = "stdio";

/// What the backend is built with, beside its configuration.
#[derive(Debug)]
pub struct ChildrenParts<'registry> {
    /// Where received messages are handed over.
    pub inbox: Arc<dyn Inbox>,
    /// How the two helper commands are started.
    pub launcher: Launcher,
    /// Where the metrics are registered; the names are complete, so it has no prefix of its own.
    pub registry: &'registry mut Registry,
}

/// Runs one MCP server a session, from its `initialize` to its end.
///
/// A server that has ended is never started again for the same session: what is sent to it from then on is refused with
/// [`ErrorKind::SessionGone`].
#[derive(Debug)]
pub struct Children {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

/// What the lives of all servers share.
#[derive(Debug)]
struct Shared {
    launch: Arc<dyn Launch>,
    inbox: Arc<dyn Inbox>,
    start_timeout: Duration,
    stop_grace: Duration,
    max_message: usize,
    sessions: Mutex<HashMap<RouteKey, Arc<Session>>>,
    metrics: ChildMetrics,
    transport: BackendMetrics,
    lives: TaskTracker,
    /// Fires when every server is to end.
    stop: CancellationToken,
}

impl Children {
    /// A backend that starts this command. Nothing is started yet.
    ///
    /// # Errors
    /// `Config` names the setting.
    pub fn new(config: &ServerConfig, parts: ChildrenParts<'_>) -> Result<Self, BackendError> {
        let mut problems: Vec<String> = config.validate().iter().map(ToString::to_string).collect();
        if config.command.is_empty() && problems.is_empty() {
            problems.push("command is missing".to_owned());
        }
        if !problems.is_empty() {
            return Err(BackendError::new(ErrorKind::Config, "start", problems.join("; ")));
        }
        let launch = Arc::new(Processes::new(config, parts.launcher));
        Ok(Self::with(launch, config, parts.inbox, parts.registry))
    }

    /// A backend whose servers are started by `launch`. Of the settings those count that are about every server: `start_timeout`,
    /// `stop_grace` and `max_message`.
    pub fn with(
        launch: Arc<dyn Launch>,
        config: &ServerConfig,
        inbox: Arc<dyn Inbox>,
        registry: &mut Registry,
    ) -> Self {
        let stop = CancellationToken::new();
        let shared = Shared {
            launch,
            inbox,
            start_timeout: config.start_timeout,
            stop_grace: config.stop_grace,
            max_message: config.max_message,
            sessions: Mutex::default(),
            metrics: ChildMetrics::register(registry),
            transport: BackendMetrics::new(NAME, registry),
            lives: TaskTracker::new(),
            stop: stop.clone(),
        };
        Self { shared: Arc::new(shared), _stop: stop.drop_guard() }
    }

    async fn carry(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        let (bytes, limit) = (outbound.message.as_str().len(), self.shared.max_message);
        if bytes > limit {
            let message = format!("the message has {bytes} bytes, more than the {limit} of max_message");
            return Err(BackendError::new(ErrorKind::TooLarge, "send", message));
        }
        let session = self.session(&outbound)?;
        session.send(outbound.message.into_text(), outbound.context.deadline).await?;
        Ok(Sent::default())
    }

    /// The session that a message belongs to. Its `initialize` begins it.
    fn session(&self, outbound: &Outbound) -> Result<Arc<Session>, BackendError> {
        let mut sessions = self.shared.sessions();
        if let Some(session) = sessions.get(&outbound.remote.route) {
            return Ok(Arc::clone(session));
        }
        let Some(initialize) = initialize_id(&outbound.message) else {
            return Err(BackendError::new(ErrorKind::SessionGone, "send", GONE));
        };
        if self.shared.stop.is_cancelled() {
            let message = "the worker is shutting down";
            return Err(BackendError::new(ErrorKind::Unavailable, "send", message));
        }
        let route = outbound.remote.route.clone();
        let (session, life) = Session::begin(&self.shared, route.clone(), initialize);
        sessions.insert(route, Arc::clone(&session));
        self.shared.lives.spawn(life.live());
        Ok(session)
    }
}

fn initialize_id(message: &Message) -> Option<RequestId> {
    match message {
        Message::Request(request) if request.method() == "initialize" => Some(request.id().clone()),
        _ => None,
    }
}

impl Shared {
    fn sessions(&self) -> MutexGuard<'_, HashMap<RouteKey, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backend for Children {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        Limits { message_bytes: self.shared.max_message }
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.shared.launch.check().await
    }

    #[tracing::instrument(name = "backend.send", level = "debug", skip_all)]
    async fn send(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        let start = Instant::now();
        let sent = self.carry(outbound).await;
        self.shared.transport.sent(sent.as_ref().map(|_| ()), start.elapsed());
        sent
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        shutdown.cancelled().await;
        self.shared.stop.cancel();
        self.shared.lives.close();
        self.shared.lives.wait().await;
        self.shared.launch.finish().await;
        Ok(())
    }

    async fn close(&self, remote: &Remote) -> Result<(), BackendError> {
        let session = self.shared.sessions().remove(&remote.route);
        if let Some(session) = session {
            session.closing.cancel();
            session.over.cancelled().await;
        }
        Ok(())
    }
}
