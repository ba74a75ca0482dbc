//! Why a payload could not be read.

use std::fmt;

use proxy_core::error::BackendError;

/// Why a payload could not be read or deleted. `Display` shows nothing of it.
#[derive(Debug)]
pub(crate) enum PayloadError {
    /// It can never be: the message is settled as one that cannot be read.
    Malformed(Box<str>),
    /// It may be later: the message is given back.
    Failed(BackendError),
}

impl fmt::Display for PayloadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(reason) => formatter.write_str(reason),
            Self::Failed(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for PayloadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}
