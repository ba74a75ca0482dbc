//! The services that the one endpoint speaks for, and what differs between them.

use super::error::ServiceError;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Sqs,
    Sns,
    Sts,
    S3,
}

impl Api {
    /// What its permissions begin with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::Sns => "sns",
            Self::Sts => "sts",
            Self::S3 => "s3",
        }
    }

    /// The namespace of its XML; SQS answers in JSON.
    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::Sqs => "http://queue.amazonaws.com/doc/2012-11-05/",
            Self::Sns => "http://sns.amazonaws.com/doc/2010-03-31/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::S3 => "http://s3.amazonaws.com/doc/2006-03-01/",
        }
    }

    /// The refusal of a caller that lacks a permission; `permission` comes with its prefix.
    pub(super) fn denied(self, access_key: &str, permission: &str, resource: &str) -> ServiceError {
        let mut error = ServiceError::access_denied(access_key, permission, resource);
        if self == Self::Sns {
            error.code = "AuthorizationError".into();
        }
        error
    }

    /// The refusal of a caller that calls too often.
    pub(super) fn throttled(self) -> ServiceError {
        match self {
            Self::Sqs => ServiceError::throttled(),
            Self::Sns | Self::Sts => ServiceError::new("Throttling", 400, "Rate exceeded"),
            Self::S3 => ServiceError::new("SlowDown", 503, "Please reduce your request rate."),
        }
    }

    /// The service's own failure.
    pub(super) fn internal(self) -> ServiceError {
        let mut error = ServiceError::internal();
        if matches!(self, Self::Sns | Self::S3) {
            error.code = "InternalError".into();
        }
        error
    }
}
