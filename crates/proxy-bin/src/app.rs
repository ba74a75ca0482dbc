//! The process: how its parts are put together, and in which order they are taken apart.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use frontend_http::{HttpMetrics, ServeError};
use prometheus_client::{metrics::info::Info, registry::Registry};
use proxy_core::{Proxy, Router, error::BackendError, id::InstanceId};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    backends::{Connected, Parts, connect},
    config::Config,
};

/// How much of the grace period is kept for stopping the backend and the listener, once sessions have ended; at most a
/// quarter of it.
const LAST_STEPS: Duration = Duration::from_secs(3);

/// Everything that serves, ready to run: the listener is bound and the backend connected.
#[derive(Debug)]
pub struct App {
    proxy: Arc<Proxy>,
    front_end: frontend_http::App,
    listener: TcpListener,
    address: SocketAddr,
    server_path: String,
    requests: String,
    answers: String,
    grace: Duration,
}

/// A part that ended.
#[derive(Debug)]
enum Ended {
    Backend(Result<(), BackendError>),
    Listener(Result<(), ServeError>),
}

impl App {
    /// Binds the listener and connects the backend.
    ///
    /// # Errors
    ///
    /// A sentence that names the setting, the queue or the permission, and the chain of causes.
    pub async fn build(config: &Config) -> anyhow::Result<Self> {
        let choice = config.choose_backend().map_err(|problem| anyhow!("{problem}"))?;
        // First what can fail without leaving anything behind at the backend.
        let (host, port) = (config.server.bare_host(), config.server.port);
        let listener = TcpListener::bind((host, port)).await.with_context(|| {
            format!("cannot listen on {host} port {port}; choose others with server.host and server.port")
        })?;
        let address = listener.local_addr().context("the listener has no address")?;

        let mut registry = Registry::default();
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("mcp_proxy_build", "The program that runs, always 1", build);
        let instance = InstanceId::random();
        let max_memory = config.security.max_memory;
        let router = Router::new(instance.clone(), config.session.clone(), max_memory, &mut registry);
        let http_metrics = HttpMetrics::register(&mut registry);
        let parts = Parts {
            inbox: Arc::<Router>::clone(&router),
            instance,
            request_timeout_max: config.session.request_timeout_max,
            registry: &mut registry,
        };
        let Connected { backend, requests, answers } = connect(choice, parts).await?;
        let proxy = Proxy::new(router, backend);
        let front_end = frontend_http::App::new(Arc::clone(&proxy), &config.server, &config.security)?
            .sse_after(config.session.sse_after)
            .metrics(http_metrics, Arc::new(registry));
        Ok(Self {
            proxy,
            front_end,
            listener,
            address,
            server_path: config.server.server_path.clone(),
            requests,
            answers,
            grace: config.shutdown.grace,
        })
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
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            backend = self.proxy.backend_name(),
            requests = self.requests,
            answers = self.answers,
            "connected to the backend"
        );
        tracing::info!(url = self.url(), "listening");
    }

    /// Serves until `shutdown` fires, and then drains: new requests and sessions are refused and readiness goes red; exchanges
    /// finish; sessions end; the backend stops; the listener closes. All that within `[shutdown] grace`.
    ///
    /// # Errors
    ///
    /// The backend or the listener ended by itself, or did not end in time.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { proxy, front_end, listener, grace, .. } = self;
        let (stop_backend, stop_listener) = (CancellationToken::new(), CancellationToken::new());
        let mut parts = JoinSet::new();
        parts.spawn({
            let (proxy, stop) = (Arc::clone(&proxy), stop_backend.clone());
            async move { Ended::Backend(proxy.run(stop).await) }
        });
        parts.spawn({
            let stop = stop_listener.clone();
            async move { Ended::Listener(frontend_http::serve(listener, front_end, stop).await) }
        });

        let mut failure = tokio::select! {
            () = shutdown.cancelled() => None,
            Some(ended) = parts.join_next() => Some(early(ended?, &stop_listener)),
        };
        let deadline = Instant::now() + grace;
        if failure.is_none() {
            failure = tokio::select! {
                () = proxy.drain(deadline - LAST_STEPS.min(grace / 4)) => None,
                Some(ended) = parts.join_next() => Some(early(ended?, &stop_listener)),
            };
        }
        stop_backend.cancel();
        let stopped = tokio::time::timeout_at(deadline, stop(&mut parts, &stop_listener)).await;
        if let Some(failure) = failure {
            return Err(failure);
        }
        stopped.with_context(|| format!("not everything ended within {grace:?} (shutdown.grace)"))??;
        tracing::info!("ended");
        Ok(())
    }
}

/// Waits for the parts that still run. The listener closes last: while the backend stops, answers are on their way to clients.
async fn stop(parts: &mut JoinSet<Ended>, stop_listener: &CancellationToken) -> anyhow::Result<()> {
    while let Some(ended) = parts.join_next().await {
        match ended? {
            Ended::Backend(result) => {
                stop_listener.cancel();
                result?;
            }
            Ended::Listener(result) => result?,
        }
    }
    Ok(())
}

/// What to say of a part that ended while it was wanted.
fn early(ended: Ended, stop_listener: &CancellationToken) -> anyhow::Error {
    match ended {
        Ended::Backend(result) => {
            // Every exchange was ended with an error, which still has to reach its client.
            stop_listener.cancel();
            match result {
                Ok(()) => anyhow!("the backend ended by itself"),
                Err(error) => anyhow::Error::new(error).context("the backend failed"),
            }
        }
        Ended::Listener(Ok(())) => anyhow!("the listener ended by itself"),
        Ended::Listener(Err(error)) => error.into(),
    }
}
