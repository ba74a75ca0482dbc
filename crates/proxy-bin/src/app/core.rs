//! What is behind every front end: the proxy over its backend, and how the two run and stop together with a front end.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use frontend_http::Routes;
use prometheus_client::{metrics::info::Info, registry::Registry};
use proxy_core::{Proxy, Router, config::SessionConfig, error::BackendError, id::InstanceId};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::Between;
use crate::{
    backends::{Connected, Parts, connect},
    config::Config,
};

/// How much of the grace period is kept for stopping the backend and the front end, once sessions have ended; at most a
/// quarter of it.
const LAST_STEPS: Duration = Duration::from_secs(3);

/// The proxy over its connected backend.
///
/// What connecting created, a reply queue say, goes again at the end of a run: one whose shutdown has fired already leaves
/// nothing behind.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) proxy: Arc<Proxy>,
    /// Where requests go, for people.
    pub(crate) requests: String,
    /// Where answers come from, for people.
    pub(crate) answers: String,
    grace: Duration,
}

/// What a front end is made of, beside the proxy.
#[derive(Debug)]
pub(crate) struct Parted {
    pub(crate) core: Core,
    /// Where metrics are registered.
    pub(crate) registry: Registry,
    /// What the backend wants served on the front end's port.
    pub(crate) routes: Option<Routes>,
}

/// A part that ended.
#[derive(Debug)]
enum Ended {
    Backend(Result<(), BackendError>),
    FrontEnd(anyhow::Result<()>),
}

impl Core {
    /// Connects the configured backend, for sessions with these settings.
    ///
    /// # Errors
    ///
    /// A sentence that names the setting, the queue or the permission, and the chain of causes.
    pub(crate) async fn connect(
        config: &Config,
        sessions: SessionConfig,
        between: &dyn Between,
    ) -> anyhow::Result<Parted> {
        let choice = config.choose_backend().map_err(|problem| anyhow!("{problem}"))?;
        let mut registry = Registry::default();
        register_build(&mut registry);
        let instance = InstanceId::random();
        let max_memory = config.security.max_memory;
        let router = Router::new(instance.clone(), sessions, max_memory, &mut registry);
        let parts = Parts {
            inbox: between.inbox(Arc::<Router>::clone(&router)),
            instance,
            request_timeout_max: config.session.request_timeout_max,
            registry: &mut registry,
            clients: between.clients(),
        };
        let Connected { backend, requests, answers, routes } = connect(choice, parts).await?;
        let proxy = Proxy::new(router, between.backend(backend));
        let core = Self::new(proxy, requests, answers, config.shutdown.grace);
        Ok(Parted { core, registry, routes })
    }

    /// A proxy whose backend is connected.
    pub(crate) fn new(proxy: Arc<Proxy>, requests: String, answers: String, grace: Duration) -> Self {
        Self { proxy, requests, answers, grace }
    }

    /// Says in the log what it talks to.
    pub(crate) fn announce(&self) {
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            backend = self.proxy.backend_name(),
            requests = self.requests,
            answers = self.answers,
            "connected to the backend"
        );
    }

    /// Runs the backend and a front end until `shutdown` fires or the front end ends by itself, and then drains: new requests and
    /// sessions are refused and readiness goes red; exchanges finish; sessions end; the backend stops; the front end is told to
    /// end. All that within `[shutdown] grace`.
    ///
    /// # Errors
    ///
    /// The backend ended by itself, the front end's error, or something did not end in time.
    pub(crate) async fn run<F>(
        self,
        shutdown: CancellationToken,
        front_end: impl FnOnce(CancellationToken) -> F,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let Self { proxy, grace, .. } = self;
        let (stop_backend, stop_front_end) = (CancellationToken::new(), CancellationToken::new());
        let mut parts = JoinSet::new();
        parts.spawn({
            let (proxy, stop) = (Arc::clone(&proxy), stop_backend.clone());
            async move { Ended::Backend(proxy.run(stop).await) }
        });
        let serving = front_end(stop_front_end.clone());
        parts.spawn(async move { Ended::FrontEnd(serving.await) });

        let first = tokio::select! {
            () = shutdown.cancelled() => None,
            Some(ended) = parts.join_next() => Some(ended?),
        };
        let deadline = Instant::now() + grace;
        let failure = match first {
            Some(Ended::Backend(result)) => Some(backend_ended(result)),
            Some(Ended::FrontEnd(result)) => {
                let failed = drain(&proxy, &mut parts, deadline - LAST_STEPS.min(grace / 4)).await;
                result.err().or(failed.err())
            }
            None => drain(&proxy, &mut parts, deadline - LAST_STEPS.min(grace / 4)).await.err(),
        };
        if failure.is_some() {
            // Every exchange was ended with an error, which still has to reach its client.
            stop_front_end.cancel();
        }
        stop_backend.cancel();
        let stopped = tokio::time::timeout_at(deadline, stop(&mut parts, &stop_front_end)).await;
        if let Some(failure) = failure {
            return Err(failure);
        }
        stopped.with_context(|| format!("not everything ended within {grace:?} (shutdown.grace)"))??;
        tracing::info!("ended");
        Ok(())
    }

    /// Takes back what connecting created, for a start that goes no further.
    pub(crate) async fn abandon(self) {
        let ended = CancellationToken::new();
        ended.cancel();
        if let Err(error) = self.run(ended, |_| std::future::ready(Ok(()))).await {
            tracing::warn!(error = format!("{error:#}"), "something may be left behind at the backend");
        }
    }
}

/// Registers what a process is, as every process does.
pub(crate) fn register_build(registry: &mut Registry) {
    let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("mcp_proxy_build", "The program that runs, always 1", build);
}

/// Drains while the parts go on. A front end may end meanwhile, but not the backend.
async fn drain(proxy: &Arc<Proxy>, parts: &mut JoinSet<Ended>, deadline: Instant) -> anyhow::Result<()> {
    let mut draining = std::pin::pin!(proxy.drain(deadline));
    loop {
        tokio::select! {
            () = &mut draining => return Ok(()),
            Some(ended) = parts.join_next() => match ended? {
                Ended::Backend(result) => return Err(backend_ended(result)),
                Ended::FrontEnd(result) => result?,
            },
        }
    }
}

/// Waits for the parts that still run. The front end ends last: while the backend stops, answers are on their way to clients.
async fn stop(parts: &mut JoinSet<Ended>, stop_front_end: &CancellationToken) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    while let Some(ended) = parts.join_next().await {
        match ended? {
            Ended::Backend(result) => {
                stop_front_end.cancel();
                if let Err(error) = result {
                    bail!(anyhow::Error::new(error).context("the backend did not stop cleanly"));
                }
            }
            Ended::FrontEnd(result) => outcome = result,
        }
    }
    outcome
}

/// What to say of a backend that ended while it was wanted.
fn backend_ended(result: Result<(), BackendError>) -> anyhow::Error {
    match result {
        Ok(()) => anyhow!("the backend ended by itself"),
        Err(error) => anyhow::Error::new(error).context("the backend failed"),
    }
}
