//! What an intake counts beside what every transport does.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use proxy_core::BackendMetrics;

/// Counts what comes in, what is refused, and what goes out. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct IntakeMetrics {
    intake: &'static str,
    refusals: Family<Labels, Counter>,
    /// What every transport counts.
    pub(crate) transport: BackendMetrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    backend: &'static str,
    reason: &'static str,
}

impl IntakeMetrics {
    pub(crate) fn new(intake: &'static str, registry: &mut Registry) -> Self {
        let transport = BackendMetrics::for_intake(intake, registry);
        let metrics = Self { intake, refusals: Family::default(), transport };
        registry.register(
            "mcp_worker_intake_refusals",
            "Requests that were refused, by why",
            metrics.refusals.clone(),
        );
        metrics
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&Labels { backend: self.intake, reason }).inc();
    }
}
