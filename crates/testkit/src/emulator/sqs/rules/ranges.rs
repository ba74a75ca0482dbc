//! The ranges of numbers in requests.

use std::time::Duration;

use crate::emulator::error::ServiceError;
use crate::emulator::sqs::queue::seconds;
use crate::emulator::sqs::request::Request;

/// Checks the numbers of `ReceiveMessage`: 1 to 10 messages, 0 to 20 s of waiting, 0 s to 12 h of visibility.
pub(in crate::emulator) fn check_receive(request: &Request) -> Result<(), ServiceError> {
    check(
        "MaxNumberOfMessages",
        request.max_number_of_messages,
        1,
        10,
        "Must be between 1 and 10, if provided.",
    )?;
    check("WaitTimeSeconds", request.wait_time_seconds, 0, 20, "Must be >= 0 and <= 20, if provided.")?;
    check_visibility(request.visibility_timeout)
}

/// `VisibilityTimeout` where it is required: 0 to 43,200 seconds (AWS, `ChangeMessageVisibility`).
pub(in crate::emulator) fn visibility(value: Option<i64>) -> Result<Duration, ServiceError> {
    check_visibility(value)?;
    value.map(seconds).ok_or_else(|| ServiceError::missing_parameter("VisibilityTimeout"))
}

/// `DelaySeconds`: 0 to 900 (AWS, `SendMessage`).
pub(in crate::emulator) fn check_delay(value: Option<i64>) -> Result<(), ServiceError> {
    check("DelaySeconds", value, 0, 900, "DelaySeconds must be >= 0 and <= 900.")
}

fn check_visibility(value: Option<i64>) -> Result<(), ServiceError> {
    check("VisibilityTimeout", value, 0, 43_200, "Must be >= 0 and <= 43200, if provided.")
}

fn check(name: &str, value: Option<i64>, least: i64, most: i64, reason: &str) -> Result<(), ServiceError> {
    match value {
        Some(value) if !(least..=most).contains(&value) => Err(ServiceError::invalid_parameter(format!(
            "Value {value} for parameter {name} is invalid. Reason: {reason}"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_range(check: impl Fn(i64) -> Result<(), ServiceError>, least: i64, most: i64) {
        check(least).unwrap();
        check(most).unwrap();
        for value in [least - 1, most + 1] {
            let error = check(value).unwrap_err();
            assert_eq!((error.code.as_str(), error.status), ("InvalidParameterValue", 400));
            assert!(error.message.starts_with(&format!("Value {value} for parameter ")), "{error}");
        }
    }

    #[test]
    fn numbers_keep_to_their_ranges() {
        assert_range(|value| check_delay(Some(value)), 0, 900);
        assert_range(|value| visibility(Some(value)).map(drop), 0, 43_200);
        let receive = |set: fn(&mut Request, i64)| {
            move |value| {
                let mut request = Request::default();
                set(&mut request, value);
                check_receive(&request)
            }
        };
        assert_range(receive(|request, value| request.visibility_timeout = Some(value)), 0, 43_200);
        assert_range(receive(|request, value| request.wait_time_seconds = Some(value)), 0, 20);
        assert_range(receive(|request, value| request.max_number_of_messages = Some(value)), 1, 10);
    }

    #[test]
    fn changing_visibility_needs_one() {
        assert_eq!(visibility(None).unwrap_err().code, "MissingParameter");
    }
}
