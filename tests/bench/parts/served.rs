//! A proxy of the library's parts: the front end on a free port, logging as the binary logs.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::Result;
use frontend_http::{App, SecurityConfig, ServerConfig, serve};
use prometheus_client::registry::Registry;
use proxy_core::{Proxy, Router, backend::Backend, config::SessionConfig, id::InstanceId};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::asked::Asked;
use crate::part::say;

/// More than the memory that any of the measurements needs for messages.
const MAX_MEMORY: usize = 256 * 1024 * 1024;

/// A router that takes as many sessions as are opened here and keeps them.
pub(super) fn router(instance: InstanceId, registry: &mut Registry) -> Arc<Router> {
    let mut config = SessionConfig::default();
    config.max_sessions = 20_000;
    config.session_timeout = std::time::Duration::from_hours(1);
    Router::new(instance, config, MAX_MEMORY, registry)
}

/// Serves a proxy over this backend until standard input closes.
pub(super) async fn run(router: Arc<Router>, backend: Arc<dyn Backend>) -> Result<()> {
    // At the binary's level, since its spans cost something there.
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stderr).init();
    let proxy = Proxy::new(router, backend);
    let app = App::new(Arc::clone(&proxy), &ServerConfig::default(), &SecurityConfig::default())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(&listener.local_addr()?)?;
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let (running, stopping) = (Arc::clone(&proxy), shutdown.clone());
    tasks.spawn(async move { anyhow::Ok(running.run(stopping).await?) });
    let stopping = shutdown.clone();
    tasks.spawn(async move { Ok(serve(listener, app, stopping).await?) });
    let mut asked = Asked::listen();
    tokio::select! {
        Some(ended) = tasks.join_next() => ended?,
        () = asked.closed() => Ok(()),
    }
}
