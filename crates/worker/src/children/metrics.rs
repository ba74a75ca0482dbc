//! What is counted of the servers that the worker runs.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The metrics of child servers, each named `mcp_worker_children…`.
#[derive(Debug, Clone, Default)]
pub(super) struct ChildMetrics {
    /// Servers that were started and are not gone.
    pub(super) running: Gauge,
    /// Servers that were started.
    pub(super) started: Counter,
    /// Lines of servers that were no JSON-RPC message.
    pub(super) malformed: Counter,
    ended: Family<Reason, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl ChildMetrics {
    /// Registers them; the names are complete, so the registry has no prefix of its own.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "mcp_worker_children",
            "Server processes that are not gone, one a session",
            metrics.running.clone(),
        );
        registry.register(
            "mcp_worker_children_started",
            "Server processes that were started",
            metrics.started.clone(),
        );
        registry.register(
            "mcp_worker_children_ended",
            "Server processes that ended or could not be started, by reason",
            metrics.ended.clone(),
        );
        registry.register(
            "mcp_worker_children_malformed_lines",
            "Lines of servers' output that were no JSON-RPC message",
            metrics.malformed.clone(),
        );
        metrics
    }

    /// Counts the end of a server.
    pub(super) fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&Reason { reason }).inc();
    }
}
