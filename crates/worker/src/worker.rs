//! The worker: an intake on one side, the core with a server behind it on the other.

mod desk;
mod left_behind;
mod opening;
mod stray;

use std::{sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use proxy_core::{
    AddressRules, Proxy,
    error::{BackendError, ErrorKind},
    id::InstanceId,
    intake::{Desk, Intake, Stopping},
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::left_behind::Told;
use crate::{config::WorkerConfig, ledger::Ledger, metrics::Metrics, sessions::Sessions, shared::Shared};

/// How much of the grace period is kept for stopping intake and backend, once sessions have ended; at most a quarter of it.
const LAST_STEPS: Duration = Duration::from_secs(3);

/// What clients of one intake get: sessions with a server behind them.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
}

/// What a worker is made of, beside its settings.
#[derive(Debug)]
pub struct WorkerParts<'registry> {
    /// The core, over the backend that reaches the server. Nobody else uses it, and [`Worker::run`] runs it.
    pub proxy: Arc<Proxy>,
    /// Where requests come from and answers go.
    pub intake: Arc<dyn Intake>,
    /// What is known of calls.
    pub ledger: Ledger,
    /// The worker's own id, that of its ledger and of its intake: session ids that it makes up begin with it.
    pub instance: InstanceId,
    /// Where metrics are registered.
    pub registry: &'registry mut Registry,
}

/// Why a worker cannot be built, or ended though nobody wanted it to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// A setting is wrong.
    #[error("worker.{0}")]
    Config(proxy_core::config::Problem),
    /// The transport is finished.
    #[error("the intake failed")]
    Intake(#[source] BackendError),
    /// The transport ended by itself.
    #[error("the intake ended by itself")]
    IntakeEnded,
    /// The way to the server is finished.
    #[error("the way to the server failed")]
    Backend(#[source] BackendError),
    /// A part of the worker panicked.
    #[error("a part of the worker failed")]
    Part(#[source] tokio::task::JoinError),
    /// Something did not end within the grace period.
    #[error("not everything ended within {0:?}")]
    Grace(Duration),
}

/// A part that ended.
#[derive(Debug)]
enum Ended {
    Intake(Result<(), BackendError>),
    Backend(Result<(), BackendError>),
}

impl Worker {
    /// A worker that nothing reaches until [`Self::run`].
    ///
    /// # Errors
    /// `reply_allow` names what can be no address.
    pub fn new(config: WorkerConfig, parts: WorkerParts<'_>) -> Result<Arc<Self>, WorkerError> {
        let WorkerParts { proxy, intake, ledger, instance, registry } = parts;
        let rules = if config.reply_allow.is_empty() {
            AddressRules::neighbourhood(intake.neighbourhood())
        } else {
            AddressRules::configured("reply_allow", &config.reply_allow).map_err(first_problem)?
        };
        let shared = Shared {
            config,
            proxy,
            intake,
            ledger,
            instance,
            rules,
            metrics: Metrics::register(registry),
            sessions: Sessions::default(),
            told: Told::default(),
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            over: CancellationToken::new(),
            given_up: CancellationToken::new(),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// Whether requests can be taken and answered: the ledger can be written, the transport and the server's side can be reached, and the worker is not
    /// shutting down. The latter is asked at most every five seconds.
    pub async fn check(&self) -> Result<(), BackendError> {
        self.shared.ledger.check().map_err(|error| {
            let unwritable = BackendError::new(ErrorKind::Unavailable, "check", error.to_string());
            unwritable.with_source(error)
        })?;
        self.shared.proxy.check().await?;
        self.shared.intake.check().await
    }

    /// How many sessions are open.
    pub fn active_sessions(&self) -> usize {
        self.shared.proxy.active_sessions()
    }

    /// Whether nothing new is taken any more.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.is_cancelled()
    }

    /// Serves until `shutdown` fires, and then drains: new sessions and requests are refused, what runs finishes, sessions end and their
    /// servers with them, the transport stops; all that within `grace`.
    ///
    /// # Errors
    /// The intake or the backend ended by itself, or something did not end in time.
    pub async fn run(
        self: &Arc<Self>,
        shutdown: CancellationToken,
        grace: Duration,
    ) -> Result<(), WorkerError> {
        let shared = &self.shared;
        let (stopping, stop_backend) = (Stopping::default(), CancellationToken::new());
        // Before anything is received: the latest calls were looked up already, so no redelivery of one of them comes first.
        shared.tasks.spawn(Arc::clone(shared).tell_left_behind());
        let mut parts = JoinSet::new();
        parts.spawn({
            let (intake, stopping) = (Arc::clone(&shared.intake), stopping.clone());
            let desk: Arc<dyn Desk> = Arc::<Self>::clone(self);
            async move { Ended::Intake(intake.run(desk, stopping).await) }
        });
        parts.spawn({
            let (proxy, stop) = (Arc::clone(&shared.proxy), stop_backend.clone());
            async move { Ended::Backend(proxy.run(stop).await) }
        });
        let first = tokio::select! {
            () = shutdown.cancelled() => None,
            Some(ended) = parts.join_next() => Some(ended),
        };
        let deadline = Instant::now() + grace;
        let last_steps = LAST_STEPS.min(grace / 4);
        shared.draining.cancel();
        stopping.drain.cancel();
        let failure = match first {
            Some(ended) => {
                // Nothing can be answered any more, but the servers have to hear of the end.
                shared.proxy.drain(Instant::now() + last_steps).await;
                Some(too_early(ended))
            }
            None => self.drain(&mut parts, deadline - last_steps).await.err(),
        };
        shared.over.cancel();
        shared.tasks.close();
        let answered = tokio::time::timeout_at(deadline - last_steps / 2, shared.tasks.wait()).await.is_ok();
        if !answered {
            tracing::warn!("answers are given up by the end of the grace period");
        }
        shared.given_up.cancel();
        stopping.stop.cancel();
        stop_backend.cancel();
        let stopped = tokio::time::timeout_at(deadline, stopped(&mut parts)).await;
        if failure.is_none() && answered && matches!(stopped, Ok(Ok(()))) {
            shared.ledger.retire();
        }
        if tokio::time::timeout(LAST_STEPS, shared.ledger.close()).await.is_err() {
            tracing::warn!("the ledger was not closed in time");
        }
        match (failure, stopped) {
            (Some(failure), _) | (None, Ok(Err(failure))) => Err(failure),
            (None, Ok(Ok(()))) if answered => Ok(()),
            (None, Ok(Ok(())) | Err(_)) => Err(WorkerError::Grace(grace)),
        }
    }

    /// Lets what runs finish while the parts go on.
    async fn drain(&self, parts: &mut JoinSet<Ended>, deadline: Instant) -> Result<(), WorkerError> {
        tokio::select! {
            () = self.shared.proxy.drain(deadline) => Ok(()),
            Some(ended) = parts.join_next() => Err(too_early(ended)),
        }
    }
}

/// Waits for the parts that still run.
async fn stopped(parts: &mut JoinSet<Ended>) -> Result<(), WorkerError> {
    while let Some(ended) = parts.join_next().await {
        match ended {
            Ok(Ended::Intake(result)) => result.map_err(WorkerError::Intake)?,
            Ok(Ended::Backend(result)) => result.map_err(WorkerError::Backend)?,
            Err(error) => return Err(WorkerError::Part(error)),
        }
    }
    Ok(())
}

/// What to say of a part that ended while it was wanted.
fn too_early(ended: Result<Ended, tokio::task::JoinError>) -> WorkerError {
    match ended {
        Ok(Ended::Intake(Ok(()))) => WorkerError::IntakeEnded,
        Ok(Ended::Intake(Err(error))) => WorkerError::Intake(error),
        Ok(Ended::Backend(Err(error))) => WorkerError::Backend(error),
        // The core says itself when its backend ended without an error.
        Ok(Ended::Backend(Ok(()))) => WorkerError::Backend(BackendError::new(
            ErrorKind::Unavailable,
            "run",
            "the backend ended by itself",
        )),
        Err(error) => WorkerError::Part(error),
    }
}

fn first_problem(problems: Vec<proxy_core::config::Problem>) -> WorkerError {
    let nothing = || proxy_core::config::Problem::new("reply_allow", "is wrong", "write other patterns");
    WorkerError::Config(problems.into_iter().next().unwrap_or_else(nothing))
}
