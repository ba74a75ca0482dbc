//! Why something was not admitted: said before anything went to the far end.

use std::time::Duration;

use crate::message::{InvalidParams, code};

/// Why the proxy did not admit what a client sent. Nothing of it reached the far end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The session does not exist, has ended, or is another principal's.
    #[error("there is no such session: initialize again")]
    SessionNotFound,
    /// As many sessions as are allowed are open.
    #[error("as many sessions are open as may be: try again later")]
    TooManySessions,
    /// As many requests as may wait for a session do so; without sessions of the clients' own (`stateless = true`).
    #[error("as many requests as may wait for the server do so: try again later")]
    TooManyWaiting,
    /// As many requests as one session may have are in flight.
    #[error("the session has as many requests in flight as it may: wait for answers first")]
    TooManyExchanges,
    /// Undelivered messages take all the memory that they may.
    #[error("the memory limit is reached: try again later")]
    OutOfMemory,
    /// The proxy is shutting down.
    #[error("the proxy is shutting down: try again later")]
    Draining,
    /// A second standalone stream so soon after the last takeover.
    #[error("the session's stream was taken over a moment ago: use that one")]
    StreamTakenOver {
        /// When another takeover is allowed.
        retry_after: Duration,
    },
    /// A `Last-Event-ID` of no stream that can be resumed.
    #[error("the event id names no stream of this session that can still be resumed")]
    UnknownEvent,
    /// What was sent cannot be taken in this state.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// The parameters of a message that the proxy has to read do not fit its method.
    #[error("{0}")]
    InvalidParams(#[from] InvalidParams),
}

impl Refusal {
    /// The JSON-RPC error code.
    pub fn code(&self) -> i64 {
        match self {
            Self::SessionNotFound => code::SESSION_NOT_FOUND,
            Self::InvalidRequest(_) => code::INVALID_REQUEST,
            Self::InvalidParams(_) => code::INVALID_PARAMS,
            Self::TooManySessions
            | Self::TooManyWaiting
            | Self::TooManyExchanges
            | Self::OutOfMemory
            | Self::Draining
            | Self::StreamTakenOver { .. }
            | Self::UnknownEvent => code::TRANSPORT,
        }
    }

    /// The word for `data.reason` and for the `reason` label of metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SessionNotFound => "session_not_found",
            Self::TooManySessions => "too_many_sessions",
            Self::TooManyWaiting => "too_many_waiting",
            Self::TooManyExchanges => "too_many_exchanges",
            Self::OutOfMemory => "out_of_memory",
            Self::Draining => "draining",
            Self::StreamTakenOver { .. } => "stream_taken_over",
            Self::UnknownEvent => "unknown_event",
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidParams(_) => "invalid_params",
        }
    }

    /// When trying again may help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManySessions | Self::OutOfMemory | Self::Draining => Some(Duration::from_secs(5)),
            Self::TooManyWaiting | Self::TooManyExchanges => Some(Duration::from_secs(1)),
            Self::StreamTakenOver { retry_after } => Some(*retry_after),
            Self::SessionNotFound | Self::UnknownEvent | Self::InvalidRequest(_) | Self::InvalidParams(_) => {
                None
            }
        }
    }
}
