//! The proxy alone: its far end is in the same process, and no transport between them.

use anyhow::Result;
use prometheus_client::registry::Registry;
use proxy_core::id::InstanceId;
use testkit::{memory::MemoryBackend, server::ScriptedServer};

use super::served;

pub(super) async fn run() -> Result<()> {
    let mut registry = Registry::default();
    let router = served::router(InstanceId::random(), &mut registry);
    let inbox = std::sync::Arc::clone(&router);
    let (backend, far_end) = MemoryBackend::pair(inbox);
    let _server = ScriptedServer::start_for_load(far_end);
    served::run(router, backend).await
}
