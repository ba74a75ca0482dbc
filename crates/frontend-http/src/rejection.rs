//! Everything that is refused before it is admitted, and the one place that says how in HTTP and JSON-RPC.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use proxy_core::{
    Refusal,
    message::{self, ErrorObject, MessageError, RequestId, code},
};

/// What the endpoint takes, for `Allow`.
pub(crate) const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, OPTIONS");

/// The same where clients have no sessions.
pub(crate) const STATELESS_METHODS: HeaderValue = HeaderValue::from_static("POST, OPTIONS");

/// Why an HTTP request was refused. Its text is for the client's developer and names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("the request has no usable Host header")]
    HostUnusable,
    #[error("this Host is not served here: add it to security.allowed_hosts if it should be")]
    HostNotAllowed,
    #[error("this Origin may not call here: add it to security.cors_origins if it should")]
    OriginNotAllowed,
    #[error("a bearer token is required")]
    TokenMissing,
    #[error("the bearer token is not valid")]
    TokenInvalid,
    #[error("there is nothing at this path")]
    PathNotFound,
    #[error("the method is none of GET, POST and DELETE")]
    MethodNotAllowed,
    #[error("this endpoint keeps no sessions: it takes POST alone")]
    Stateless,
    #[error("the client must accept both application/json and text/event-stream")]
    BothTypesRequired,
    #[error("the client accepts neither application/json nor text/event-stream")]
    NoTypeAcceptable,
    #[error("the client must accept text/event-stream")]
    EventStreamRequired,
    #[error("the Content-Type is not application/json")]
    UnsupportedMediaType,
    #[error("the body is larger than the {limit} bytes that are taken")]
    BodyTooLarge { limit: usize },
    #[error("the body could not be read to its end")]
    BodyUnreadable,
    #[error("the body stopped coming before its end")]
    BodyTooSlow,
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("this endpoint speaks the MCP revisions 2024-11-05 to 2025-11-25: send initialize")]
    ModernEra,
    #[error("the MCP-Protocol-Version is none of 2024-11-05, 2025-03-26, 2025-06-18 and 2025-11-25")]
    UnsupportedVersion,
    #[error("the Mcp-Session-Id header is required")]
    SessionRequired,
    #[error("the Mcp-Session-Id header is there more than once")]
    SessionRepeated,
    #[error("initialize must not be part of a batch")]
    InitializeInBatch,
    #[error("batches are not part of the session's protocol version")]
    BatchNotSupported,
    #[error("the Last-Event-ID header is there more than once, or is not text")]
    LastEventUnusable,
    #[error(transparent)]
    Core(#[from] Refusal),
}

impl Rejection {
    /// The HTTP status: what the revisions demand (2025-11-25, basic/transports); what none of them names is as the official SDK
    /// servers have it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::HostUnusable
            | Self::BodyUnreadable
            | Self::Message(_)
            | Self::ModernEra
            | Self::UnsupportedVersion
            | Self::SessionRequired
            | Self::SessionRepeated
            | Self::InitializeInBatch
            | Self::BatchNotSupported
            | Self::LastEventUnusable => StatusCode::BAD_REQUEST,
            Self::HostNotAllowed | Self::OriginNotAllowed => StatusCode::FORBIDDEN,
            Self::TokenMissing | Self::TokenInvalid => StatusCode::UNAUTHORIZED,
            Self::PathNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed | Self::Stateless => StatusCode::METHOD_NOT_ALLOWED,
            Self::BothTypesRequired | Self::NoTypeAcceptable | Self::EventStreamRequired => {
                StatusCode::NOT_ACCEPTABLE
            }
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Core(refusal) => core_status(refusal),
        }
    }

    /// The JSON-RPC error code. None of -32020 to -32022, by which a client would know a server of the 2026-07-28 era.
    pub(crate) fn code(&self) -> i64 {
        match self {
            Self::Message(error) => error.code(),
            Self::ModernEra | Self::InitializeInBatch | Self::BatchNotSupported => code::INVALID_REQUEST,
            Self::Core(refusal) => refusal.code(),
            _ => code::TRANSPORT,
        }
    }

    /// The word for `data.reason` and for the `reason` label of metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::HostUnusable => "host_unusable",
            Self::HostNotAllowed => "host_not_allowed",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::TokenMissing => "token_missing",
            Self::TokenInvalid => "token_invalid",
            Self::PathNotFound => "path_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Stateless => "stateless",
            Self::BothTypesRequired | Self::NoTypeAcceptable | Self::EventStreamRequired => "not_acceptable",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyUnreadable => "body_unreadable",
            Self::BodyTooSlow => "body_too_slow",
            Self::Message(MessageError::NotJson) => "not_json",
            Self::Message(MessageError::Invalid(_)) => "invalid_message",
            Self::ModernEra => "modern_era",
            Self::UnsupportedVersion => "unsupported_protocol_version",
            Self::SessionRequired => "session_required",
            Self::SessionRepeated => "session_repeated",
            Self::InitializeInBatch => "initialize_in_batch",
            Self::BatchNotSupported => "batch_not_supported",
            Self::LastEventUnusable => "last_event_unusable",
            Self::Core(refusal) => refusal.reason(),
        }
    }

    /// The answer: a JSON-RPC error about the request with this id, or about one whose id was not read.
    pub(crate) fn into_response(self, id: Option<RequestId>) -> Response<Body> {
        let message = self.to_string();
        let error = ErrorObject::new(self.code(), &message, self.reason());
        let body = message::Response::error(id, &error).into_text();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::MethodNotAllowed => {
                headers.insert(header::ALLOW, ALLOWED_METHODS);
            }
            Self::Stateless => {
                headers.insert(header::ALLOW, STATELESS_METHODS);
            }
            Self::TokenMissing => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TokenInvalid => {
                let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::Core(refusal) => {
                if let Some(after) = refusal.retry_after() {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
                }
            }
            _ => {}
        }
        response
    }
}

fn core_status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::SessionNotFound => StatusCode::NOT_FOUND,
        Refusal::TooManySessions | Refusal::TooManyWaiting | Refusal::OutOfMemory | Refusal::Draining => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Refusal::TooManyExchanges => StatusCode::TOO_MANY_REQUESTS,
        Refusal::StreamTakenOver { .. } => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// `Retry-After` counts whole seconds, and 0 would invite a client to spin.
fn whole_seconds(after: Duration) -> u64 {
    let rounded_up = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    rounded_up.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body_of(response: Response<Body>) -> serde_json::Value {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_names_its_request_its_reason_and_when_to_come_back() {
        let refusal = Refusal::StreamTakenOver { retry_after: Duration::from_millis(29_001) };
        let response = Rejection::from(refusal).into_response(Some(RequestId::number(7)));
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()["retry-after"], "30");
        let body = body_of(response).await;
        assert_eq!(body["id"], 7);
        assert_eq!(body["error"]["code"], -32000);
        assert_eq!(body["error"]["data"]["reason"], "stream_taken_over");
    }

    #[tokio::test]
    async fn an_unreadable_id_is_null() {
        let body = body_of(Rejection::from(MessageError::NotJson).into_response(None)).await;
        assert_eq!(body["id"], serde_json::Value::Null);
        assert_eq!(body["error"]["code"], -32700);
    }

    #[test]
    fn the_challenge_names_no_resource_metadata() {
        let missing = Rejection::TokenMissing.into_response(None);
        assert_eq!(missing.headers()["www-authenticate"], "Bearer");
        let invalid = Rejection::TokenInvalid.into_response(None);
        assert_eq!(invalid.headers()["www-authenticate"], r#"Bearer error="invalid_token""#);
    }
}
