//! What a response means that is no success.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use proxy_core::{
    error::{BackendError, Delivery, ErrorKind},
    id::WireId,
    message::{Message, code},
};
use serde::Deserialize;

/// How much of what the server says is passed on.
const SHOWN: usize = 300;

/// The longest that a server may ask for before the next attempt.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(1);

/// What a refusal comes to.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is the answer to the request: a JSON-RPC error that carries its id.
    Answer(String),
    /// The server certainly did not take the message, and may take it later.
    Later(BackendError, Option<Duration>),
    /// Anything else.
    Final(BackendError),
}

/// A response that is no success.
#[derive(Debug)]
pub(super) struct Refused<'response> {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its headers.
    pub(super) headers: &'response HeaderMap,
    /// Its body, or the beginning of it.
    pub(super) body: &'response [u8],
    /// Whether the request named a session of the server's.
    pub(super) in_session: bool,
    /// The request that the message was, if it was one.
    pub(super) wire: Option<&'response WireId>,
}

#[derive(Deserialize)]
struct ErrorResponse {
    error: ErrorObject,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    message: String,
}

impl Refused<'_> {
    /// What it means for a message (basic/transports, and docs/WIRE.md for asyncmcp's own ways).
    pub(super) fn refusal(&self) -> Refusal {
        if let Some(answer) = self.answer() {
            return Refusal::Answer(answer);
        }
        let status = self.status;
        if self.is_gone() {
            return Refusal::Final(gone());
        }
        let (kind, sentence) = match status {
            StatusCode::NOT_FOUND => (ErrorKind::Config, "there is no MCP endpoint at server_url"),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                (ErrorKind::Denied, "the server refuses the proxy: check headers")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                (ErrorKind::TooLarge, "the message is larger than the server takes")
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let error = self.error(ErrorKind::Throttled, "the server takes no more requests now");
                return Refusal::Later(error, self.retry_after());
            }
            StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_ACCEPTABLE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                (ErrorKind::Protocol, "what is at server_url speaks no Streamable HTTP")
            }
            status if status.is_server_error() => {
                let error = self.error(ErrorKind::Unavailable, "the server failed; the request may have run");
                return Refusal::Final(error.with_delivery(Delivery::MaybeSent));
            }
            status if status.is_redirection() => {
                (ErrorKind::Config, "the server sends elsewhere: write the address it names as server_url")
            }
            _ => (ErrorKind::Protocol, "the server refused the request"),
        };
        Refusal::Final(self.error(kind, sentence))
    }

    /// Whether the server does not know the session: 404 (basic/transports, session management), or 400 without JSON, as asyncmcp
    /// says it after a restart.
    pub(super) fn is_gone(&self) -> bool {
        let unreadable = || serde_json::from_slice::<serde::de::IgnoredAny>(self.body).is_err();
        self.in_session
            && (self.status == StatusCode::NOT_FOUND
                || (self.status == StatusCode::BAD_REQUEST && unreadable()))
    }

    /// The JSON-RPC error in the body, where it carries the request's id. Under 404 only the one that says that there is no such
    /// method: servers that echo the id also say so that the session is gone.
    fn answer(&self) -> Option<String> {
        let text = std::str::from_utf8(self.body).ok()?;
        let Message::Response(response) = Message::parse(text).ok()? else { return None };
        let named = response.id()?.as_string().and_then(|id| WireId::parse(id).ok())?;
        let about_this = response.is_error() && Some(&named) == self.wire;
        let about_session = self.status == StatusCode::NOT_FOUND
            && self.said().is_none_or(|said| said.code != code::METHOD_NOT_FOUND);
        (about_this && !about_session).then(|| text.to_owned())
    }

    /// The error that the body tells of.
    fn said(&self) -> Option<ErrorObject> {
        serde_json::from_slice::<ErrorResponse>(self.body).ok().map(|response| response.error)
    }

    pub(super) fn error(&self, kind: ErrorKind, sentence: &str) -> BackendError {
        let status = self.status.as_u16();
        let message = match self.said() {
            Some(said) => {
                let shown: String = said.message.chars().take(SHOWN).collect();
                format!("{sentence} ({status}): {shown} ({})", said.code)
            }
            None => format!("{sentence} ({status})"),
        };
        BackendError::new(kind, "send", message)
    }

    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
    }
}

/// The session has ended.
pub(super) fn gone() -> BackendError {
    BackendError::new(
        ErrorKind::SessionGone,
        "send",
        "the server does not know the session any more: it was restarted, or it ended the session",
    )
}
