//! The process that runs an MCP server behind an async transport.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use frontend_http::{HttpMetrics, Readiness};
use prometheus_client::registry::Registry;
use proxy_core::Proxy;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use worker::{Ledger, Worker, WorkerParts, children::Launch};

use super::{Between, Served, ledger};
use crate::{
    config::{AdminConfig, Config},
    intakes,
};

/// Everything that serves an intake, ready to run: the intake is connected, and no server started yet.
///
/// What connecting created, a queue of the worker's own say, goes again at the end of [`WorkerApp::run`]: to give up one that was
/// built, run it with a token that has fired already.
#[derive(Debug)]
pub struct WorkerApp {
    worker: Arc<Worker>,
    /// The way to the server.
    proxy: Arc<Proxy>,
    admin: Option<Admin>,
    grace: Duration,
    said: Said,
}

/// What there is to say at start.
#[derive(Debug)]
struct Said {
    transport: &'static str,
    requests: String,
    owner: Option<String>,
    server: String,
    ledger: PathBuf,
}

/// Where health and metrics are.
#[derive(Debug)]
struct Admin {
    app: frontend_http::App,
    listener: TcpListener,
    address: SocketAddr,
}

impl WorkerApp {
    /// Opens the ledger and connects the intake. `state` is where programs keep state that outlives them, for a ledger that the
    /// configuration does not name.
    ///
    /// # Errors
    ///
    /// A sentence that names the setting, the file, the queue or the permission, and the chain of causes.
    pub async fn build(config: &Config, state: Option<&Path>) -> anyhow::Result<Self> {
        let choice = config.choose_intake().map_err(|problem| anyhow!("{problem}"))?;
        let configured = config.worker.as_ref().and_then(|worker| worker.ledger.as_deref());
        let longest = config.session.request_timeout_max;
        let (ledger, path) = ledger::open(configured, state, &choice.address(), longest)?;
        Self::build_with(config, ledger, path, None, &()).await
    }

    /// The same with this ledger, which is in the file at `path`; with the servers that `launch` starts in the place of the
    /// configured one; and with something between the parts.
    pub(crate) async fn build_with(
        config: &Config,
        ledger: Ledger,
        path: PathBuf,
        launch: Option<Arc<dyn Launch>>,
        between: &dyn Between,
    ) -> anyhow::Result<Self> {
        let choice = config.choose_intake().map_err(|problem| anyhow!("{problem}"))?;
        let settings = config.worker.clone().unwrap_or_default();
        // First what can fail without leaving anything behind at the transport.
        let listener = match config.admin.listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let instance = ledger.instance().clone();
        let Served { proxy, backend, mut registry, server } =
            Served::connect(config, instance.clone(), launch).await?;
        if settings.server.url.is_none() {
            // Not at the first session, when a client is waiting for it. One at a URL may come and go.
            backend.check().await.context("the MCP server cannot be started")?;
        }
        let requests = choice.address();
        let parts = intakes::Parts {
            instance: instance.clone(),
            sole: settings.sole,
            request_timeout_max: config.session.request_timeout_max,
            registry: &mut registry,
            clients: between.clients(),
        };
        let intake = between.intake(intakes::connect(choice, parts).await?);
        let said = Said {
            transport: intake.name(),
            requests,
            owner: intake.owner().map(str::to_owned),
            server,
            ledger: path,
        };
        let parts =
            WorkerParts { proxy: Arc::clone(&proxy), intake, ledger, instance, registry: &mut registry };
        let worker = Worker::new(settings, parts)?;
        let grace = config.shutdown.grace;
        let mut app = Self { worker, proxy: Arc::clone(&proxy), admin: None, grace, said };
        match listener.map(|listener| app.admin(config, proxy, listener, registry)).transpose() {
            Ok(admin) => app.admin = admin,
            Err(error) => {
                app.abandon().await;
                return Err(error);
            }
        }
        Ok(app)
    }

    /// Says in the log what runs between what.
    pub(crate) fn announce(&self) {
        let Said { transport, requests, owner, server, ledger } = &self.said;
        if let Some(Admin { address, .. }) = &self.admin {
            tracing::info!(%address, "health and metrics are served");
        }
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            backend = transport,
            requests,
            own_requests = owner,
            server,
            ledger = %ledger.display(),
            "the worker is running"
        );
    }

    /// Serves until `shutdown` fires, and then drains: new sessions and requests are refused, what runs finishes, sessions end and their
    /// servers with them. All that within `[shutdown] grace`.
    ///
    /// # Errors
    ///
    /// The intake or the way to the server ended by itself, or something did not end in time.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { worker, proxy, admin, grace, .. } = self;
        let stop = CancellationToken::new();
        let _stop = stop.clone().drop_guard();
        let serving = async {
            match admin {
                Some(Admin { app, listener, .. }) => frontend_http::serve(listener, app, stop.clone()).await,
                None => std::future::pending().await,
            }
        };
        let looking = async {
            if !shutdown.is_cancelled() {
                // For what it says in the log, which only the first client would cause otherwise. One at a URL may still be starting.
                drop(proxy.check().await);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = worker.run(shutdown.clone(), grace) => ended.context("the worker ended")?,
            () = looking => {}
            ended = serving => {
                ended?;
                return Err(anyhow!("the listener of health and metrics ended by itself"));
            }
        }
        tracing::info!("ended");
        Ok(())
    }

    /// The routes for operators.
    fn admin(
        &self,
        config: &Config,
        proxy: Arc<Proxy>,
        listener: TcpListener,
        mut registry: Registry,
    ) -> anyhow::Result<Admin> {
        let address = listener.local_addr().context("the listener has no address")?;
        let metrics = HttpMetrics::register(&mut registry);
        let worker = Arc::clone(&self.worker);
        let ready: Readiness = Arc::new(move || {
            let worker = Arc::clone(&worker);
            Box::pin(async move { worker.check().await.is_ok() })
        });
        let app = frontend_http::App::new(proxy, &AdminConfig::server(address), &config.security)?
            .admin_only()
            .also_ready(ready)
            .metrics(metrics, Arc::new(registry));
        Ok(Admin { app, listener, address })
    }

    /// Takes back what connecting created, for a start that goes no further.
    async fn abandon(self) {
        let ended = CancellationToken::new();
        ended.cancel();
        if let Err(error) = self.run(ended).await {
            tracing::warn!(error = format!("{error:#}"), "something may be left behind at the transport");
        }
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| {
        format!("cannot listen on {address}; choose another address with --admin or admin.listen")
    })
}
