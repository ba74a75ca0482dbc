//! The way from the worker to its MCP server: the same proxy as in front of a backend, over a command or a URL.

use std::sync::Arc;

use anyhow::Context;
use prometheus_client::registry::Registry;
use proxy_core::{
    Proxy, Router,
    backend::{Backend, Inbox},
    id::InstanceId,
};
use worker::{Children, ChildrenParts, ServerConfig, children::Launch};

use super::{Core, core::register_build};
use crate::{config::Config, helpers::launcher};

/// The MCP server, ready to be asked.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) proxy: Arc<Proxy>,
    /// The way to the server, which is the proxy's.
    pub(crate) backend: Arc<dyn Backend>,
    /// Where metrics are registered.
    pub(crate) registry: Registry,
    /// The server, for people.
    pub(crate) server: String,
}

impl Served {
    /// Connects the configured server, or those that `launch` starts.
    ///
    /// # Errors
    /// A sentence that names the setting, and the chain of causes.
    pub(crate) async fn connect(
        config: &Config,
        instance: InstanceId,
        launch: Option<Arc<dyn Launch>>,
    ) -> anyhow::Result<Self> {
        let worker = config.worker.clone().unwrap_or_default();
        let mut registry = Registry::default();
        register_build(&mut registry);
        let mut sessions = config.session.clone();
        sessions.stateless = false;
        let router = Router::new(instance.clone(), sessions, config.security.max_memory, &mut registry);
        let inbox: Arc<dyn Inbox> = Arc::<Router>::clone(&router);
        let (backend, server): (Arc<dyn Backend>, _) = if let Some(launch) = launch {
            let children = Children::with(launch, &worker.server, inbox, &mut registry);
            (Arc::new(children), "in this process".to_owned())
        } else if worker.server.url.is_some() {
            upstream(config, &worker.server, inbox, instance, &mut registry).await?
        } else {
            let launcher = launcher().context("this program's own path is not known")?;
            let parts = ChildrenParts { inbox, launcher, registry: &mut registry };
            // The arguments may hold secrets.
            let program = worker.server.command.first().cloned().unwrap_or_default();
            (Arc::new(Children::new(&worker.server, parts)?), program)
        };
        Ok(Self { proxy: Proxy::new(router, Arc::clone(&backend)), backend, registry, server })
    }

    /// The server without an intake, for asking it.
    pub(crate) fn alone(self, config: &Config) -> Core {
        Core::new(self.proxy, self.server, String::new(), config.shutdown.grace)
    }
}

/// A Streamable HTTP server.
#[cfg(feature = "streamable-http-webhook")]
async fn upstream(
    config: &Config,
    server: &ServerConfig,
    inbox: Arc<dyn Inbox>,
    instance: InstanceId,
    registry: &mut Registry,
) -> anyhow::Result<(Arc<dyn Backend>, String)> {
    let mut settings = backend_webhook::StreamableHttpConfig::default();
    settings.server_url = server.url.clone().unwrap_or_default();
    settings.max_message = server.max_message;
    settings.headers.clone_from(&server.headers);
    settings.timeout = server.start_timeout;
    let address = settings.server_url.clone();
    let parts = backend_webhook::StreamableHttpParts {
        inbox,
        instance,
        request_timeout_max: config.session.request_timeout_max,
        registry,
        listener: None,
        tls: None,
    };
    let backend = backend_webhook::StreamableHttpBackend::connect(settings, parts)
        .await
        .with_context(|| format!("the MCP server at {address} (worker.server.url) cannot be used"))?;
    Ok((Arc::new(backend), address))
}

/// There is no way to one in this build, which the configuration's check has said.
#[cfg(not(feature = "streamable-http-webhook"))]
async fn upstream(
    _config: &Config,
    _server: &ServerConfig,
    _inbox: Arc<dyn Inbox>,
    _instance: InstanceId,
    _registry: &mut Registry,
) -> anyhow::Result<(Arc<dyn Backend>, String)> {
    std::future::ready(Err(anyhow::anyhow!("{}", crate::config::no_upstream_in_this_build()))).await
}
