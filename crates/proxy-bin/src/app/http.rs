//! The process that serves HTTP.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, bail};
use frontend_http::HttpMetrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Between, Core, Parted};
use crate::config::Config;

/// Everything that serves HTTP, ready to run: the listener is bound and the backend connected.
///
/// What connecting created, a reply queue say, goes again at the end of [`App::run`]: to give up an app that was built, run it with a
/// token that has fired already.
#[derive(Debug)]
pub struct App {
    core: Core,
    front_end: frontend_http::App,
    listener: TcpListener,
    address: SocketAddr,
    server_path: String,
}

impl App {
    /// Binds the listener and connects the backend.
    ///
    /// # Errors
    ///
    /// A sentence that names the setting, the queue or the permission, and the chain of causes.
    pub async fn build(config: &Config) -> anyhow::Result<Self> {
        Self::build_with(config, &()).await
    }

    /// The same with something between the parts.
    pub(crate) async fn build_with(config: &Config, between: &dyn Between) -> anyhow::Result<Self> {
        // First what can fail without leaving anything behind at the backend.
        let (host, port) = (config.server.bare_host(), config.server.port);
        let listener = TcpListener::bind((host, port)).await.with_context(|| {
            format!("cannot listen on {host} port {port}; choose others with server.host and server.port")
        })?;
        let address = listener.local_addr().context("the listener has no address")?;
        let Parted { core, mut registry, routes } =
            Core::connect(config, config.session.clone(), between).await?;
        let metrics = HttpMetrics::register(&mut registry);
        let front_end =
            match frontend_http::App::new(Arc::clone(&core.proxy), &config.server, &config.security) {
                Ok(front_end) => front_end,
                Err(error) => {
                    core.abandon().await;
                    return Err(error.into());
                }
            };
        let front_end = front_end.sse_after(config.session.sse_after).metrics(metrics, Arc::new(registry));
        let front_end = match routes {
            Some(routes) => front_end.beside(routes),
            None => front_end,
        };
        Ok(Self { core, front_end, listener, address, server_path: config.server.server_path.clone() })
    }

    /// Where it listens, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the MCP endpoint, for a client on this machine.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.server_path)
    }

    /// Says in the log where it listens and what it talks to.
    pub(crate) fn announce(&self) {
        self.core.announce();
        tracing::info!(url = self.url(), "listening");
    }

    /// The proxy, for a client in this process.
    pub(crate) fn proxy(&self) -> Arc<proxy_core::Proxy> {
        Arc::clone(&self.core.proxy)
    }

    /// Serves until `shutdown` fires, and then drains: new requests and sessions are refused and readiness goes red; exchanges
    /// finish; sessions end; the backend stops; the listener closes. All that within `[shutdown] grace`.
    ///
    /// # Errors
    ///
    /// The backend or the listener ended by itself, or did not end in time.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { core, front_end, listener, .. } = self;
        core.run(shutdown, |stop| async move {
            frontend_http::serve(listener, front_end, stop.clone()).await?;
            if !stop.is_cancelled() {
                bail!("the listener ended by itself");
            }
            Ok(())
        })
        .await
    }
}
