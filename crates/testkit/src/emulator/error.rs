//! The errors of the SQS API as its JSON protocol carries them, and those of SNS.
//!
//! An error of SQS has two names: the shape, in the body's `__type`, and the older query code, in the header
//! `x-amzn-query-error`. The Rust and the Python SDK both go by the second where it is there.
//! SNS and STS, in the Query protocol, have the code alone.

use std::fmt::Display;

/// What an action is refused with: both names, the status and the sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    /// The shape's name with its namespace, the body's `__type`.
    pub shape: String,
    /// The query protocol's code, which SDKs show as the error code.
    pub code: String,
    /// The HTTP status.
    pub status: u16,
    /// The sentence for people.
    pub message: String,
}

/// The namespace of the shapes that the SQS model names.
const SQS: &str = "com.amazonaws.sqs#";
/// The namespace of the errors that every AWS service knows.
const CORAL: &str = "com.amazon.coral.service#";
/// What the query codes of the shapes in the SQS model mostly begin with.
const QUERY: &str = "AWS.SimpleQueueService.";

impl ServiceError {
    /// An error of the given code and status, with a shape of the same name.
    pub fn new(code: &str, status: u16, message: impl Display) -> Self {
        Self { shape: format!("{SQS}{code}"), code: code.into(), status, message: message.to_string() }
    }

    /// Whether the caller is at fault, which batch entries say in `SenderFault`.
    pub fn is_sender_fault(&self) -> bool {
        self.status < 500
    }

    /// The value of the header `x-amzn-query-error`.
    pub(super) fn query_header(&self) -> String {
        format!("{};{}", self.code, if self.is_sender_fault() { "Sender" } else { "Receiver" })
    }

    pub(super) fn modelled(name: &str, message: impl Display) -> Self {
        Self { code: format!("{QUERY}{name}"), ..Self::new(name, 400, message) }
    }

    pub(super) fn no_such_queue() -> Self {
        let message = "The specified queue does not exist.";
        Self { code: format!("{QUERY}NonExistentQueue"), ..Self::new("QueueDoesNotExist", 400, message) }
    }

    pub(super) fn queue_exists(attribute: &str) -> Self {
        let message = format!(
            "A queue already exists with the same name and a different value for attribute {attribute}"
        );
        Self { code: "QueueAlreadyExists".into(), ..Self::new("QueueNameExists", 400, message) }
    }

    pub(super) fn invalid_parameter(message: impl Display) -> Self {
        let shape = format!("{CORAL}InvalidParameterValueException");
        Self { shape, ..Self::new("InvalidParameterValue", 400, message) }
    }

    pub(super) fn missing_parameter(name: &str) -> Self {
        let shape = format!("{CORAL}MissingRequiredParameterException");
        let message = format!("The request must contain the parameter {name}.");
        Self { shape, ..Self::new("MissingParameter", 400, message) }
    }

    pub(super) fn malformed(message: impl Display) -> Self {
        let shape = format!("{CORAL}SerializationException");
        Self { shape, ..Self::new("SerializationException", 400, message) }
    }

    pub(super) fn unknown_action(action: &str) -> Self {
        let shape = format!("{CORAL}UnknownOperationException");
        let message = format!("The action {action} is not valid for this endpoint.");
        Self { shape, ..Self::new("InvalidAction", 400, message) }
    }

    pub(super) fn access_denied(access_key: &str, permission: &str, resource: &str) -> Self {
        let shape = format!("{CORAL}AccessDeniedException");
        let permission = permission.to_lowercase();
        let message = format!(
            "User: {access_key} is not authorized to perform: {permission} on resource: {resource} \
             because no identity-based policy allows the {permission} action"
        );
        Self { shape, ..Self::new("AccessDenied", 403, message) }
    }

    /// An error of SNS of status 400.
    pub(super) fn sns(code: &str, message: impl Display) -> Self {
        Self::new(code, 400, message)
    }

    /// SNS's refusal of a parameter.
    pub(super) fn sns_invalid(message: impl Display) -> Self {
        Self::sns("InvalidParameter", format_args!("Invalid parameter: {message}"))
    }

    /// SNS's way of saying that a topic or subscription is not there.
    pub(super) fn sns_not_found(what: &str) -> Self {
        Self::new("NotFound", 404, format_args!("{what} does not exist"))
    }

    /// An error of SQS's rules as SNS gives it, whose codes have no prefix.
    #[must_use]
    pub(super) fn of_sns(mut self) -> Self {
        if let Some(code) = self.code.strip_prefix(QUERY) {
            self.code = code.to_owned();
        } else if self.code == "InvalidParameterValue" {
            self.code = "ParameterValueInvalid".into();
        }
        self
    }

    pub(super) fn throttled() -> Self {
        Self::new("RequestThrottled", 403, "Rate exceeded")
    }

    pub(super) fn internal() -> Self {
        let shape = format!("{CORAL}InternalFailure");
        let message = "We encountered an internal error. Please try again.";
        Self { shape, ..Self::new("InternalFailure", 500, message) }
    }

    pub(super) fn unavailable() -> Self {
        let shape = format!("{CORAL}ServiceUnavailableException");
        let message = "The request has failed due to a temporary failure of the server.";
        Self { shape, ..Self::new("ServiceUnavailable", 503, message) }
    }
}
