//! A proxy without front end and transport: what front ends are tested over.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use proxy_core::{Proxy, Router, config::SessionConfig, id::InstanceId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{memory::MemoryBackend, server::ScriptedServer};

/// What undelivered messages may take: 64 MiB.
const MAX_MEMORY: usize = 64 * 1024 * 1024;

/// A running proxy over a memory backend and a scripted server. Dropping it stops everything.
#[derive(Debug)]
pub struct TestProxy {
    /// The proxy.
    pub proxy: Arc<Proxy>,
    /// Its router.
    pub router: Arc<Router>,
    /// Its backend, where failures are scripted.
    pub backend: Arc<MemoryBackend>,
    /// The far end.
    pub server: ScriptedServer,
    /// The metrics of the proxy.
    pub registry: Registry,
    shutdown: CancellationToken,
    _tasks: JoinSet<()>,
}

/// A running proxy with the default settings. Needs a tokio runtime.
pub fn proxy() -> TestProxy {
    proxy_with(SessionConfig::default())
}

/// A running proxy with these settings of sessions. Needs a tokio runtime.
pub fn proxy_with(config: SessionConfig) -> TestProxy {
    let mut registry = Registry::default();
    let router = Router::new(InstanceId::random(), config, MAX_MEMORY, &mut registry);
    let inbox = Arc::clone(&router);
    let (backend, far_end) = MemoryBackend::pair(inbox);
    let server = ScriptedServer::start(far_end);
    let sender = Arc::clone(&backend);
    let proxy = Proxy::new(Arc::clone(&router), sender);
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let (running, stopping) = (Arc::clone(&proxy), shutdown.clone());
    tasks.spawn(async move {
        if let Err(error) = running.run(stopping).await {
            tracing::error!(%error, "the proxy under test has failed");
        }
    });
    TestProxy { proxy, router, backend, server, registry, shutdown, _tasks: tasks }
}

impl TestProxy {
    /// Fires when the proxy is told to stop.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.backend.release_sends();
    }
}
