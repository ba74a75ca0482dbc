//! Why a callback is refused.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use crate::http_server::Unread;

/// What a far end is told that has no business here. `doctor` knows a proxy by it.
pub(crate) const NO_SESSION: &str = "no session waits here";

/// Why a callback is refused. The far end sees the status and a sentence; the reason is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No callback's path.
    Path,
    /// Another proxy's route key.
    Foreign,
    /// Not the secret of its route key.
    Secret,
    /// A session id that contradicts the path.
    Session,
    /// Not a POST.
    Method,
    /// Over the limit.
    TooLarge,
    /// The body did not come.
    Slow,
    /// The body broke off.
    Broken,
    /// No JSON-RPC message.
    Malformed,
    /// No memory for it now.
    Busy,
    /// Nobody waits for it.
    Unroutable,
}

impl Refusal {
    /// The value of the `reason` label.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Foreign => "foreign",
            Self::Secret => "secret",
            Self::Session => "session",
            Self::Method => "method",
            Self::TooLarge => "too_large",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Malformed => "malformed",
            Self::Busy => "busy",
            Self::Unroutable => "unroutable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            // one answer to all of these, which tells a stranger nothing
            Self::Path | Self::Foreign | Self::Secret | Self::Session | Self::Unroutable => {
                StatusCode::NOT_FOUND
            }
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Path | Self::Foreign | Self::Secret | Self::Session | Self::Unroutable => NO_SESSION,
            Self::Method => "callbacks are sent with POST",
            Self::TooLarge => "the message is larger than max_message",
            Self::Slow => "the message did not come",
            Self::Broken => "the message broke off",
            Self::Malformed => "the body is not one JSON-RPC message",
            Self::Busy => "there is no memory for the message now: send it again",
        }
    }

    pub(super) fn response(self) -> Response<Body> {
        let body = serde_json::json!({ "error": self.sentence() }).to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::Method => drop(headers.insert(header::ALLOW, HeaderValue::from_static("POST"))),
            Self::Busy => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => {}
        }
        response
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::TooLarge,
            Unread::Slow => Self::Slow,
            Unread::Broken => Self::Broken,
            Unread::NoRoom => Self::Busy,
        }
    }
}
