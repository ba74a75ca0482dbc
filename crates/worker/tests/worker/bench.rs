//! A worker over a memory intake and a scripted server.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prometheus_client::registry::Registry;
use proxy_core::{
    Proxy, ProxyContext, Router, config::SessionConfig, id::InstanceId, intake::Intake, message::Message,
};
use serde_json::Value;
use testkit::{
    MemoryIntake, MemoryTransport, intake_contract::Received, memory::MemoryBackend,
    memory_intake::MemoryClient, server::ScriptedServer,
};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use worker::{Ledger, Worker, WorkerConfig, WorkerError, WorkerParts};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What undelivered messages may take.
const MAX_MEMORY: usize = 64 * 1024 * 1024;

/// A running worker.
pub(crate) struct Bench {
    pub(crate) transport: MemoryTransport,
    pub(crate) intake: Arc<MemoryIntake>,
    pub(crate) backend: Arc<MemoryBackend>,
    pub(crate) server: ScriptedServer,
    pub(crate) worker: Arc<Worker>,
    pub(crate) registry: Registry,
    pub(crate) shutdown: CancellationToken,
    running: JoinHandle<Result<(), WorkerError>>,
}

/// How a worker is set up.
pub(crate) struct Setup {
    pub(crate) config: WorkerConfig,
    pub(crate) sessions: SessionConfig,
    pub(crate) grace: Duration,
    /// What the worker gets for its intake.
    pub(crate) disguise: fn(Arc<MemoryIntake>) -> Arc<dyn Intake>,
}

impl Default for Setup {
    fn default() -> Self {
        let grace = Duration::from_secs(10);
        let sessions = SessionConfig::default();
        Self { config: worker_config("{}"), sessions, grace, disguise: |intake| intake }
    }
}

/// The settings in this JSON text.
pub(crate) fn worker_config(text: &str) -> WorkerConfig {
    serde_json::from_str(text).unwrap()
}

/// The settings of sessions in this JSON text.
pub(crate) fn session_config(text: &str) -> SessionConfig {
    serde_json::from_str(text).unwrap()
}

impl Setup {
    /// Only these settings of the worker differ.
    pub(crate) fn with(config: &str) -> Self {
        Self { config: worker_config(config), ..Self::default() }
    }

    /// Starts the only worker of a new transport.
    pub(crate) fn start(self) -> Bench {
        let transport = MemoryTransport::default();
        let intake = transport.intake();
        self.start_on(transport, intake, Ledger::in_memory().unwrap())
    }

    /// Starts one worker of the fleet on this transport.
    pub(crate) fn start_in_fleet(self, transport: &MemoryTransport) -> Bench {
        let ledger = Ledger::in_memory().unwrap();
        let intake = transport.intake_of(ledger.instance().clone());
        self.start_on(transport.clone(), intake, ledger)
    }

    /// Starts a worker with this ledger.
    pub(crate) fn start_on(
        self,
        transport: MemoryTransport,
        intake: Arc<MemoryIntake>,
        ledger: Ledger,
    ) -> Bench {
        let mut registry = Registry::default();
        let instance = ledger.instance().clone();
        let router = Router::new(InstanceId::random(), self.sessions, MAX_MEMORY, &mut registry);
        let inbox = Arc::clone(&router);
        let (backend, far_end) = MemoryBackend::pair(inbox);
        let server = ScriptedServer::start(far_end);
        let proxy = Proxy::new(router, Arc::<MemoryBackend>::clone(&backend));
        let parts = WorkerParts {
            proxy,
            intake: (self.disguise)(Arc::clone(&intake)),
            ledger,
            instance,
            registry: &mut registry,
        };
        let worker = Worker::new(self.config, parts).unwrap();
        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        let running = tasks.spawn({
            let (worker, shutdown) = (Arc::clone(&worker), shutdown.clone());
            async move { worker.run(shutdown, self.grace).await }
        });
        Bench { transport, intake, backend, server, worker, registry, shutdown, running }
    }
}

impl Bench {
    /// Opens a session in a client's name, up to `notifications/initialized`, and returns the answer to `initialize`.
    pub(crate) async fn open(&self, client: &mut MemoryClient, session: &str) -> Received {
        client.initialize(Some(session), &format!("{session}:0"));
        let answer = receive(client).await;
        client.initialized(session);
        in_time(self.server.wait_for_method("notifications/initialized")).await;
        answer
    }

    /// Waits until everything is acknowledged.
    pub(crate) async fn wait_until_settled(&self) {
        in_time(self.transport.wait_for_unacknowledged(0)).await;
    }

    /// How many requests with this method the server received.
    pub(crate) fn received(&self, method: &str) -> usize {
        self.server.received().iter().filter(|outbound| outbound.message.method() == Some(method)).count()
    }

    /// Shuts the worker down.
    pub(crate) async fn stop(self) -> Result<(), WorkerError> {
        self.shutdown.cancel();
        in_time(self.running).await.unwrap()
    }

    /// The worker is as dead as a process can be: it receives nothing more, and what it has in hand comes again.
    pub(crate) fn crash(&self) {
        self.running.abort();
    }

    /// Crashes, and leaves this copy of its ledger, which is `ledger` in the folder.
    pub(crate) fn leave_ledger(&self, folder: &Path) -> PathBuf {
        self.crash();
        let copy = folder.join("copy");
        std::fs::copy(folder.join("ledger"), &copy).unwrap();
        copy
    }

    /// A worker where this one was, after this one died: with what its file says. What it had in hand is not given out again yet.
    pub(crate) fn successor(&self, folder: &Path) -> Self {
        let file = self.leave_ledger(folder);
        let transport = self.transport.clone();
        let intake = transport.intake();
        Setup::with(r#"{"sole": true}"#).start_on(transport, intake, ledger(&file))
    }

    /// The value of a metric: its line in the text begins so.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        found.map_or(0, |value| value.parse().unwrap())
    }
}

/// The ledger in this file.
pub(crate) fn ledger(path: &Path) -> Ledger {
    Ledger::open(path).unwrap()
}

/// Waits, but not for ever.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// The next message for this client.
pub(crate) async fn receive(client: &mut MemoryClient) -> Received {
    in_time(client.receive()).await.expect("the transport is there")
}

/// The message's JSON.
pub(crate) fn json(received: &Received) -> Value {
    serde_json::from_str(&received.body).unwrap()
}

/// What came beside the message.
pub(crate) fn context(received: &Received) -> ProxyContext {
    ProxyContext::parse(received.context.as_deref().expect("there is a context")).unwrap()
}

/// The reason in an error answer to the request with this id.
pub(crate) fn reason(received: &Received, id: &str) -> String {
    let answer = json(received);
    assert_eq!(answer["id"], id, "{answer}");
    answer["error"]["data"]["reason"].as_str().unwrap_or_else(|| panic!("no reason: {answer}")).to_owned()
}

/// The text that a tool answered with, to the request with this id.
pub(crate) fn text(received: &Received, id: &str) -> String {
    let answer = json(received);
    assert_eq!(answer["id"], id, "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}")).to_owned()
}

/// The parameters of a call of a tool.
pub(crate) fn tool(name: &str, arguments: &str) -> String {
    format!(r#"{{"name":"{name}","arguments":{arguments}}}"#)
}

/// Whether this is a message that can be read.
pub(crate) fn is_message(text: &str) -> bool {
    Message::parse(text).is_ok()
}
