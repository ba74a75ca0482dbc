//! A proxy between chaos and clients.

use std::{collections::HashMap, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use proxy_core::{Proxy, Router, config::SessionConfig, id::InstanceId};
use testkit::{
    chaos::{Chaos, Faults},
    memory::MemoryBackend,
    server::ScriptedServer,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Far more than the clients need.
const MEMORY: usize = 256 * 1024 * 1024;

pub(crate) struct World {
    pub(crate) proxy: Arc<Proxy>,
    server: ScriptedServer,
    registry: Registry,
    _tasks: JoinSet<()>,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let chaos = Chaos::new(seed, faults);
        let mut config = SessionConfig::default();
        config.max_sessions = usize::MAX;
        config.session_timeout = Duration::from_hours(24);
        config.request_timeout = Duration::from_mins(1);
        let mut registry = Registry::default();
        let router = Router::new(InstanceId::random(), config, MEMORY, &mut registry);
        let inbox = Arc::clone(&router);
        let (backend, far_end) = MemoryBackend::pair(chaos.inbox(inbox));
        let server = ScriptedServer::start(far_end);
        server.release_slow(1_000_000);
        let proxy = Proxy::new(router, chaos.backend(backend));
        let mut tasks = JoinSet::new();
        let running = Arc::clone(&proxy);
        tasks.spawn(async move {
            running.run(CancellationToken::new()).await.expect("a backend that does not end");
        });
        Self { proxy, server, registry, _tasks: tasks }
    }

    /// How many exchanges have ended, by the proxy's own count.
    pub(crate) fn ended_exchanges(&self) -> usize {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("metrics as text");
        let ended = text.lines().filter(|line| line.contains("exchanges_total{"));
        ended.map(|line| line.rsplit_once(' ').expect("a value").1.parse::<usize>().expect("a count")).sum()
    }

    /// Every message of a session travelled under that session's route key.
    pub(crate) fn check_what_the_server_saw(&self) {
        let mut owners = HashMap::new();
        for outbound in self.server.received() {
            let Some(owner) = owner(outbound.message.as_str()) else { continue };
            let first = owners.entry(outbound.remote.route.clone()).or_insert(owner);
            assert_eq!(*first, owner, "two sessions on one route");
        }
    }
}

/// The client that a message belongs to: all that clients make up, and so all that is echoed, says `client-{number}.`.
pub(crate) fn owner(text: &str) -> Option<usize> {
    let (_, rest) = text.split_once("client-")?;
    rest.split_once('.')?.0.parse().ok()
}
