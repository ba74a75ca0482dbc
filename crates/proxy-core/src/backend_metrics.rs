//! The metrics that every backend and every intake keeps. Labels come from closed sets only.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::error::BackendError;

/// The value of `error_type` where nothing failed.
const NO_ERROR: &str = "none";

/// Counts what one backend or intake does. Clones count together.
#[derive(Debug, Clone)]
pub struct BackendMetrics {
    backend: &'static str,
    sends: Family<Outcome, Counter>,
    send_duration: Family<Backend, Histogram, fn() -> Histogram>,
    deliveries: Family<Delivered, Counter>,
    malformed: Family<Backend, Counter>,
    receive_errors: Family<Outcome, Counter>,
    calls: Family<ApiCall, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Backend {
    backend: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    backend: &'static str,
    error_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Delivered {
    backend: &'static str,
    disposition: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiCall {
    backend: &'static str,
    action: &'static str,
    error_type: &'static str,
}

impl BackendMetrics {
    /// Registers the metrics of the backend with this name, prefix included: the registry is the process's own.
    pub fn new(backend: &'static str, registry: &mut Registry) -> Self {
        Self::registered("mcp_proxy_backend", backend, registry)
    }

    /// Registers the same metrics for the intake with this name, under names of their own: a worker has an intake and may have a backend.
    pub fn for_intake(intake: &'static str, registry: &mut Registry) -> Self {
        Self::registered("mcp_worker_intake", intake, registry)
    }

    fn registered(prefix: &str, backend: &'static str, registry: &mut Registry) -> Self {
        let metrics = Self {
            backend,
            sends: Family::default(),
            send_duration: Family::new_with_constructor(durations),
            deliveries: Family::default(),
            malformed: Family::default(),
            receive_errors: Family::default(),
            calls: Family::default(),
        };
        let name = |name: &str| format!("{prefix}_{name}");
        registry.register(
            name("sends"),
            "Messages handed to the transport, by the kind of failure",
            metrics.sends.clone(),
        );
        registry.register_with_unit(
            name("send_duration"),
            "Time until a message was durably accepted or given up, retries included",
            Unit::Seconds,
            metrics.send_duration.clone(),
        );
        registry.register(
            name("deliveries"),
            "Messages received, by what became of them",
            metrics.deliveries.clone(),
        );
        registry.register(
            name("malformed_messages"),
            "Messages received that were no JSON-RPC message",
            metrics.malformed.clone(),
        );
        registry.register(
            name("receive_errors"),
            "Receives that failed, by the kind of failure",
            metrics.receive_errors.clone(),
        );
        registry.register(
            name("api_calls"),
            "Calls of the transport's API, by action and kind of failure",
            metrics.calls.clone(),
        );
        metrics
    }

    /// Counts a message that was durably accepted or given up, and how long that took, retries included.
    pub fn sent(&self, result: Result<(), &BackendError>, duration: Duration) {
        self.sends.get_or_create(&Outcome { backend: self.backend, error_type: error_type(result) }).inc();
        self.send_duration.get_or_create(&Backend { backend: self.backend }).observe(duration.as_secs_f64());
    }

    /// Counts a received message by what became of it: a [`Disposition`](crate::backend::Disposition)'s word, `duplicate` or `orphaned`.
    pub fn delivered(&self, disposition: &'static str) {
        self.deliveries.get_or_create(&Delivered { backend: self.backend, disposition }).inc();
    }

    /// Counts a received message that was no JSON-RPC message.
    pub fn malformed(&self) {
        self.malformed.get_or_create(&Backend { backend: self.backend }).inc();
    }

    /// Counts a receive that failed.
    pub fn receive_failed(&self, error: &BackendError) {
        let error_type = error.kind().as_str();
        self.receive_errors.get_or_create(&Outcome { backend: self.backend, error_type }).inc();
    }

    /// Counts one call of the API.
    pub fn called(&self, action: &'static str, result: Result<(), &BackendError>) {
        let error_type = error_type(result);
        self.calls.get_or_create(&ApiCall { backend: self.backend, action, error_type }).inc();
    }
}

fn durations() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
    ])
}

fn error_type(result: Result<(), &BackendError>) -> &'static str {
    result.map_or_else(|error| error.kind().as_str(), |()| NO_ERROR)
}
