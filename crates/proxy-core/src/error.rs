//! What a backend failed at, and what the caller may do about it.

use std::{error::Error, fmt};

/// The boxed cause of an error.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// What kind of failure it was: what a caller may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something that is configured does not exist or is wrong. Trying again does not help.
    Config,
    /// The far side refused our credentials or permissions.
    Denied,
    /// The transport asks us to slow down.
    Throttled,
    /// The transport cannot be reached, or failed for reasons of its own.
    Unavailable,
    /// The message is larger than the transport takes.
    TooLarge,
    /// The peer broke its protocol.
    Protocol,
    /// The far end does not know the session any more.
    SessionGone,
}

impl ErrorKind {
    /// The name used as `error.type` in logs and as the `error_type` label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::TooLarge => "too_large",
            Self::Protocol => "protocol",
            Self::SessionGone => "session_gone",
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable)
    }
}

/// Whether a message that could not be sent may have arrived all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It certainly did not arrive.
    NotSent,
    /// It may have arrived, so it must not be sent again.
    MaybeSent,
}

/// A failed operation of a backend.
///
/// `Display` prints this level only, in a form fit for a client; the cause, for logs, is its `source`.
#[derive(Debug)]
pub struct BackendError {
    kind: ErrorKind,
    operation: &'static str,
    delivery: Delivery,
    message: Box<str>,
    source: Option<BoxError>,
}

impl BackendError {
    /// A failure of `operation` (such as `send`) that certainly sent nothing. `message` says what happened, to what, and what
    /// to do; it may reach clients, so it holds no secrets.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<Box<str>>) -> Self {
        Self { kind, operation, delivery: Delivery::NotSent, message: message.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says whether the message may have arrived.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operation that failed.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether the message may have arrived all the same.
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Whether the same call may succeed later *and* may be made again: nothing arrived and the failure passes.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable() && self.delivery == Delivery::NotSent
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Error for BackendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
