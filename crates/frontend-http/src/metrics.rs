//! What the HTTP layer counts.

use axum::http::StatusCode;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The metrics of the HTTP front end, each named `mcp_proxy_http_…`. Labels come from closed sets only.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    responses: Family<ResponseLabels, Counter>,
    /// The child of `responses` that nearly all requests count into, looked up once.
    succeeded: Counter,
    open_streams: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResponseLabels {
    status: &'static str,
    reason: &'static str,
}

/// A stream that counts as open until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Gauge);

impl HttpMetrics {
    /// Registers the metrics: `mcp_proxy_http_responses_total` by status class and reason of refusal, and
    /// `mcp_proxy_http_open_streams`.
    pub fn register(registry: &mut Registry) -> Self {
        let responses = Family::<ResponseLabels, Counter>::default();
        let succeeded = responses.get_or_create(&ResponseLabels { status: "2xx", reason: "" }).clone();
        let metrics = Self { responses, succeeded, open_streams: Gauge::default() };
        let registry = registry.sub_registry_with_prefix("mcp_proxy_http");
        registry.register(
            "responses",
            "HTTP responses of the MCP endpoint, by status class and reason of refusal",
            metrics.responses.clone(),
        );
        registry.register("open_streams", "Open streams of server-sent events", metrics.open_streams.clone());
        metrics
    }

    pub(crate) fn count_success(&self) {
        self.succeeded.inc();
    }

    pub(crate) fn count_refusal(&self, status: StatusCode, reason: &'static str) {
        let status = if status.is_server_error() { "5xx" } else { "4xx" };
        self.responses.get_or_create(&ResponseLabels { status, reason }).inc();
    }

    pub(crate) fn open_stream(&self) -> OpenStream {
        self.open_streams.inc();
        OpenStream(self.open_streams.clone())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_can_be_scraped() {
        let mut registry = Registry::default();
        let metrics = HttpMetrics::register(&mut registry);
        metrics.count_success();
        metrics.count_refusal(StatusCode::NOT_FOUND, "session_not_found");
        let stream = metrics.open_stream();
        let text = || {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        for line in [
            r#"mcp_proxy_http_responses_total{status="2xx",reason=""} 1"#,
            r#"mcp_proxy_http_responses_total{status="4xx",reason="session_not_found"} 1"#,
            "mcp_proxy_http_open_streams 1",
        ] {
            assert!(text().contains(line), "{line}");
        }
        drop(stream);
        assert!(text().contains("mcp_proxy_http_open_streams 0"));
    }
}
