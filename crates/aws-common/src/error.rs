//! The one mapping of the SDK's errors to [`BackendError`].

use std::{error::Error, fmt};

use aws_sdk_sqs::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use proxy_core::error::{BackendError, Delivery, ErrorKind};

/// An API call, as far as its errors need to tell of it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'call> {
    /// The contract's operation: `send`, `receive`, `start`.
    pub operation: &'static str,
    /// The permission that the call needs, such as `sqs:SendMessage`.
    pub permission: &'static str,
    /// The queue or topic, by the name that the reader of the error knows it by.
    pub target: &'call str,
    /// Whether the call carries a message that must not be carried twice.
    pub sends: bool,
}

impl Call<'_> {
    /// Maps what the SDK says of this call.
    ///
    /// Delivery, for calls that send: a failed connection, a throttle and every 4xx sent nothing; a timeout, a broken
    /// connection, a response that cannot be read and every 5xx may have.
    pub fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> BackendError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let target = self.target;
        let (kind, delivery, message) = match error {
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                let code = code_of(service.err().code(), service.err().message());
                return self.refused(code, status).with_source(Cause::of(service.err()));
            }
            SdkError::DispatchFailure(_) if never_connected(error) => {
                let message = format!("{target} cannot be reached: no connection");
                (ErrorKind::Unavailable, Delivery::NotSent, message)
            }
            // the request never came to the HTTP client, for lack of credentials
            SdkError::DispatchFailure(failure)
                if failure.is_other() && failure.as_other().is_none() && http_error(error).is_none() =>
            {
                let message = format!("no AWS credentials for {target}: set them as for every AWS program");
                (ErrorKind::Denied, Delivery::NotSent, message)
            }
            SdkError::ConstructionFailure(_) => {
                let message =
                    format!("the request about {target} could not be made: check region, endpoint and URL");
                (ErrorKind::Config, Delivery::NotSent, message)
            }
            SdkError::TimeoutError(_) => {
                (ErrorKind::Unavailable, Delivery::MaybeSent, format!("{target} did not answer in time"))
            }
            _ => (ErrorKind::Unavailable, Delivery::MaybeSent, format!("the connection to {target} broke")),
        };
        self.error(kind, delivery, message).with_source(Cause::of_chain(error))
    }

    /// Maps one entry of a batch that the service says has failed.
    pub fn entry_failed(&self, code: &str, sender_fault: bool) -> BackendError {
        self.refused(Some(code), if sender_fault { 400 } else { 500 })
    }

    fn refused(&self, code: Option<&str>, status: u16) -> BackendError {
        let Self { permission, target, .. } = self;
        let code = code.unwrap_or_default();
        let bare = code.rsplit('.').next().unwrap_or(code);
        let kind = kind_of(bare, status);
        let message = match kind {
            ErrorKind::Throttled => format!("{target} is throttled by AWS ({bare})"),
            ErrorKind::Config => {
                format!("{target} does not exist: create it, or correct its URL, region or account")
            }
            ErrorKind::Denied if is_of_kms(bare) => {
                format!(
                    "the key of {target} may not be used: grant kms:GenerateDataKey and kms:Decrypt on it"
                )
            }
            ErrorKind::Denied if bare.starts_with("AccessDenied") || bare == "AuthorizationError" => {
                format!("access to {target} is denied: grant {permission} on it")
            }
            ErrorKind::Denied => format!("the AWS credentials for {target} are refused ({bare}): renew them"),
            ErrorKind::TooLarge => format!("the message is larger than {target} takes"),
            _ if bare == "QueueDeletedRecently" => {
                format!("{target} was deleted just now: AWS lets it be created again 60 s later")
            }
            ErrorKind::Unavailable => format!("{target} failed at AWS ({status} {bare})"),
            _ => format!("{target} refused the request ({status} {bare})"),
        };
        // a throttle is said before anything is stored, whatever its status
        let delivery = if kind == ErrorKind::Unavailable { Delivery::MaybeSent } else { Delivery::NotSent };
        self.error(kind, delivery, message)
    }

    fn error(&self, kind: ErrorKind, delivery: Delivery, message: String) -> BackendError {
        let delivery = if self.sends { delivery } else { Delivery::NotSent };
        BackendError::new(kind, self.operation, message).with_delivery(delivery)
    }
}

/// What we call the error that SQS has no code of its own for.
const MESSAGE_TOO_LONG: &str = "MessageTooLong";

/// The code of an error. Of a queue that takes smaller messages than others SQS says only in the text that one is too large for it.
pub(crate) fn code_of<'said>(code: Option<&'said str>, message: Option<&str>) -> Option<&'said str> {
    let is_invalid = code.is_some_and(|code| code.ends_with("InvalidParameterValue"));
    let too_long = is_invalid && message.is_some_and(|message| message.contains("must be shorter than"));
    if too_long { Some(MESSAGE_TOO_LONG) } else { code }
}

/// What the SDK or the service said, without the parts of the SDK's errors that hold the response, bodies included.
#[derive(Debug)]
struct Cause(String);

impl Cause {
    fn of(error: &impl ProvideErrorMetadata) -> Self {
        let meta = error.meta();
        let code = meta.code().unwrap_or("no code");
        Self(format!("{code}: {}", meta.message().unwrap_or("no message")))
    }
}

impl Cause {
    fn of_chain(error: &(dyn Error + 'static)) -> Self {
        let chain = std::iter::successors(Some(error), |&error| error.source());
        Self(chain.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Error for Cause {}

/// By the code without its namespace, then by the status (AWS, "Common errors" and the lists of errors of the SQS and SNS APIs).
fn kind_of(code: &str, status: u16) -> ErrorKind {
    match code {
        "Throttling"
        | "ThrottlingException"
        | "Throttled"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "KmsThrottled"
        | "KMSThrottling"
        | "OverLimit"
        | "SlowDown" => ErrorKind::Throttled,
        "NonExistentQueue"
        | "QueueDoesNotExist"
        | "InvalidAddress"
        | "NotFound"
        | "NotFoundException"
        | "NoSuchBucket"
        | "ResourceNotFound"
        | "ResourceNotFoundException" => ErrorKind::Config,
        "BatchRequestTooLong" | MESSAGE_TOO_LONG => ErrorKind::TooLarge,
        _ if code.starts_with("AccessDenied") || is_of_kms(code) => ErrorKind::Denied,
        "AuthorizationError"
        | "InvalidSecurity"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "RequestTimeTooSkewed"
        | "IncompleteSignature"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidAccessKeyId"
        | "MissingAuthenticationToken"
        | "OptInRequired"
        | "RequestExpired" => ErrorKind::Denied,
        _ => match status {
            429 => ErrorKind::Throttled,
            401 | 403 => ErrorKind::Denied,
            413 => ErrorKind::TooLarge,
            400..=499 => ErrorKind::Protocol,
            _ => ErrorKind::Unavailable,
        },
    }
}

/// Whether it is about the key that messages are encrypted with: SQS says `KmsDisabled`, SNS `KMSDisabled`.
fn is_of_kms(code: &str) -> bool {
    code.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("kms"))
}

/// Whether the connection was never made: DNS, refused, TLS or the connect timeout.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    http_error(error).is_some_and(hyper_util::client::legacy::Error::is_connect)
}

/// What the HTTP client said; nothing where the request did not come to it.
fn http_error<'error>(
    error: &'error (dyn Error + 'static),
) -> Option<&'error hyper_util::client::legacy::Error> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(sends: bool) -> Call<'static> {
        Call { operation: "send", permission: "sqs:SendMessage", target: "the queue \"requests\"", sends }
    }

    #[test]
    fn codes_decide_the_kind_and_the_delivery() {
        for (code, sender_fault, kind, delivery) in [
            ("AWS.SimpleQueueService.NonExistentQueue", true, ErrorKind::Config, Delivery::NotSent),
            ("AccessDenied", true, ErrorKind::Denied, Delivery::NotSent),
            ("RequestThrottled", true, ErrorKind::Throttled, Delivery::NotSent),
            ("ThrottlingException", false, ErrorKind::Throttled, Delivery::NotSent),
            ("AWS.SimpleQueueService.BatchRequestTooLong", true, ErrorKind::TooLarge, Delivery::NotSent),
            ("InvalidMessageContents", true, ErrorKind::Protocol, Delivery::NotSent),
            ("Throttled", false, ErrorKind::Throttled, Delivery::NotSent),
            ("AuthorizationError", true, ErrorKind::Denied, Delivery::NotSent),
            ("KMSAccessDenied", true, ErrorKind::Denied, Delivery::NotSent),
            // what SQS says of a clock that is off, with status 400
            ("InvalidSignatureException", true, ErrorKind::Denied, Delivery::NotSent),
            ("KMSThrottling", true, ErrorKind::Throttled, Delivery::NotSent),
            ("InternalError", false, ErrorKind::Unavailable, Delivery::MaybeSent),
        ] {
            let error = call(true).entry_failed(code, sender_fault);
            assert_eq!((error.kind(), error.delivery()), (kind, delivery), "{code}");
        }
    }

    #[test]
    fn a_call_that_carries_no_message_leaves_none_in_doubt() {
        assert_eq!(call(false).entry_failed("InternalError", false).delivery(), Delivery::NotSent);
    }

    #[test]
    fn a_denial_names_the_queue_and_the_permission() {
        let text = call(true).entry_failed("AccessDeniedException", true).to_string();
        assert_eq!(text, "access to the queue \"requests\" is denied: grant sqs:SendMessage on it");
    }
}
