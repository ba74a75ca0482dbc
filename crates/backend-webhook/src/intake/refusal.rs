//! Why a request is refused at the door, and how that is said.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use proxy_core::{
    intake::Refused,
    message::{self, ErrorObject, MessageError, RequestId, code},
};

use crate::http_server::Unread;

/// What asyncmcp's servers write where an error belongs to no request.
const NO_REQUEST: &str = "server-error";

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// No path of ours.
    Path,
    /// A method that the path does not take.
    Method,
    /// Not the token.
    Token,
    /// Not for this listener.
    Host,
    /// From a web page that has no business here.
    Origin,
    /// A media type that is not taken, or an answer's that is not.
    MediaType,
    /// Over the limit.
    TooLarge,
    /// The body did not come.
    Slow,
    /// The body broke off.
    Broken,
    /// No JSON-RPC message.
    Malformed,
    /// A header that is missing or wrong.
    Header,
    /// As much is under way as may be.
    Full,
    /// Another stream of the session is open.
    #[cfg(feature = "streamable-http-webhook")]
    Conflict,
    /// The desk said so, with this word.
    Desk(&'static str),
}

/// A refusal: nothing of the request has run, or will.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) why: Why,
    pub(crate) status: StatusCode,
    pub(crate) code: i64,
    pub(crate) sentence: Cow<'static, str>,
    pub(crate) allow: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(why: Why, status: StatusCode, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { why, status, code: code::INVALID_REQUEST, sentence: sentence.into(), allow: None }
    }

    /// A header that is missing or wrong, or a message that does not fit its method.
    pub(crate) fn invalid(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Why::Header, StatusCode::BAD_REQUEST, sentence)
    }

    /// A method other than these.
    pub(crate) fn method(allow: &'static str) -> Self {
        let refusal = Self::new(Why::Method, StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
        Self { allow: Some(allow), ..refusal }
    }

    /// As much is under way as may be.
    pub(crate) fn full() -> Self {
        let sentence = "as many messages are under way as may be: try again later";
        Self::new(Why::Full, StatusCode::SERVICE_UNAVAILABLE, sentence).with_code(code::TRANSPORT)
    }

    /// What the desk says, under this status.
    pub(crate) fn desk(refused: &Refused, status: StatusCode) -> Self {
        let sentence = refused.to_string();
        Self::new(Why::Desk(refused.reason()), status, sentence).with_code(refused.code())
    }

    #[cfg(feature = "webhook")]
    pub(crate) fn with_sentence(self, sentence: &'static str) -> Self {
        Self { sentence: sentence.into(), ..self }
    }

    pub(crate) fn with_code(self, code: i64) -> Self {
        Self { code, ..self }
    }

    /// The value of the `reason` label.
    pub(crate) fn reason(&self) -> &'static str {
        match self.why {
            Why::Path => "path",
            Why::Method => "method",
            Why::Token => "token",
            Why::Host => "host",
            Why::Origin => "origin",
            Why::MediaType => "media_type",
            Why::TooLarge => "too_large",
            Why::Slow => "slow",
            Why::Broken => "broken",
            Why::Malformed => "malformed",
            Why::Header => "header",
            Why::Full => "full",
            #[cfg(feature = "streamable-http-webhook")]
            Why::Conflict => "conflict",
            Why::Desk(reason) => reason,
        }
    }

    /// The response: a JSON-RPC error, about this request where it could be read.
    pub(crate) fn response(&self, id: Option<RequestId>) -> Response<Body> {
        let id = id.unwrap_or_else(|| RequestId::string(NO_REQUEST));
        let error = ErrorObject::new(self.code, &self.sentence, self.reason());
        let body = message::Response::error(Some(id), &error).into_text();
        self.with_body(body)
    }

    /// The response with this JSON.
    pub(crate) fn with_body(&self, body: String) -> Response<Body> {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::new(
                Why::TooLarge,
                StatusCode::PAYLOAD_TOO_LARGE,
                "the message is larger than the worker's max_message",
            ),
            Unread::NoRoom => Self::full(),
            Unread::Slow => Self::new(Why::Slow, StatusCode::REQUEST_TIMEOUT, "the message did not come"),
            Unread::Broken => Self::new(Why::Broken, StatusCode::BAD_REQUEST, "the message broke off"),
        }
    }
}

impl From<MessageError> for Refusal {
    fn from(error: MessageError) -> Self {
        Self::new(Why::Malformed, StatusCode::BAD_REQUEST, error.to_string()).with_code(error.code())
    }
}
