//! The names of MCP's own HTTP headers, and how a header is read that may stand only once.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The session that a message belongs to (2025-11-25, basic/transports, session management).
pub(crate) const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// The negotiated revision (2025-11-25, basic/transports, protocol version header).
pub(crate) const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The last event that an SSE client saw (HTML standard, server-sent events).
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A header that means something only when it stands once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Single<'headers> {
    /// It is not there.
    Absent,
    /// Its value.
    Value(&'headers HeaderValue),
    /// It is there more than once: two readers would take different values.
    Repeated,
}

impl<'headers> Single<'headers> {
    pub(crate) fn of(headers: &'headers HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::Value(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }
}
