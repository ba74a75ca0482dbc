//! What the core counts. Registered by a constructor into the registry that is passed in; labels come from closed sets only.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// The core's metrics, each named `mcp_proxy_…`.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) sessions: Gauge,
    pub(crate) sessions_closed: Family<ReasonLabel, Counter>,
    pub(crate) exchanges_in_flight: Gauge,
    pub(crate) exchanges: Family<ExchangeLabels, Counter>,
    pub(crate) exchange_duration: Family<MethodLabel, Histogram, fn() -> Histogram>,
    pub(crate) refusals: Family<ReasonLabel, Counter>,
    pub(crate) discarded: Family<ReasonLabel, Counter>,
    pub(crate) stream_dropped: Counter,
    pub(crate) send_failures: Family<ReasonLabel, Counter>,
}

/// How an exchange ended, by method.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ExchangeLabels {
    pub(crate) method: &'static str,
    pub(crate) outcome: &'static str,
}

/// A method, clamped to the known ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct MethodLabel {
    pub(crate) method: &'static str,
}

/// Why, as one of a closed set of words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabel {
    pub(crate) reason: &'static str,
}

impl Metrics {
    /// Registers the core's metrics under `mcp_proxy`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            sessions: Gauge::default(),
            sessions_closed: Family::default(),
            exchanges_in_flight: Gauge::default(),
            exchanges: Family::default(),
            exchange_duration: Family::new_with_constructor(durations),
            refusals: Family::default(),
            discarded: Family::default(),
            stream_dropped: Counter::default(),
            send_failures: Family::default(),
        };
        let registry = registry.sub_registry_with_prefix("mcp_proxy");
        registry.register("sessions", "Open sessions", metrics.sessions.clone());
        registry.register("sessions_closed", "Closed sessions, by reason", metrics.sessions_closed.clone());
        registry.register(
            "exchanges_in_flight",
            "Requests without an answer yet",
            metrics.exchanges_in_flight.clone(),
        );
        registry.register("exchanges", "Ended exchanges, by method and outcome", metrics.exchanges.clone());
        registry.register_with_unit(
            "exchange_duration",
            "From a request's admission to its end",
            Unit::Seconds,
            metrics.exchange_duration.clone(),
        );
        registry.register("refusals", "What was not admitted, by reason", metrics.refusals.clone());
        registry.register(
            "discarded_messages",
            "Messages from the far end or a client that nobody waits for, by reason",
            metrics.discarded.clone(),
        );
        registry.register(
            "stream_dropped_messages",
            "Notifications dropped because a client did not read its stream",
            metrics.stream_dropped.clone(),
        );
        registry.register(
            "send_failures",
            "Messages that could not be sent, by error kind",
            metrics.send_failures.clone(),
        );
        metrics
    }

    pub(crate) fn discard(&self, reason: &'static str) {
        self.discarded.get_or_create(&ReasonLabel { reason }).inc();
    }
}

fn durations() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
        3600.0,
    ])
}

/// The methods that may be label values.
const METHODS: [&str; 16] = [
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/read",
    "resources/templates/list",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
    "logging/setLevel",
    "tasks/get",
    "tasks/result",
    "tasks/list",
];

/// The method as a label value: itself where it is known, `other` else.
pub fn method_label(method: &str) -> &'static str {
    METHODS.into_iter().find(|known| *known == method).unwrap_or("other")
}
