//! What the callback endpoint counts beside what every backend does.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Counts refused callbacks. Clones count together.
#[derive(Debug, Clone)]
pub(super) struct CallbackMetrics {
    backend: &'static str,
    refusals: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    backend: &'static str,
    reason: &'static str,
}

impl CallbackMetrics {
    pub(super) fn new(backend: &'static str, registry: &mut Registry) -> Self {
        let metrics = Self { backend, refusals: Family::default() };
        registry.register(
            "mcp_proxy_callback_refusals",
            "Callbacks that did not reach a session, by why",
            metrics.refusals.clone(),
        );
        metrics
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&Labels { backend: self.backend, reason }).inc();
    }
}
