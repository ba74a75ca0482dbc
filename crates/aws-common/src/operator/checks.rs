//! The doctor's lines about AWS itself: who we are, where, and what we may do.

use aws_config::SdkConfig;
use aws_sdk_sqs::types::QueueAttributeName;
use proxy_core::{
    error::{BackendError, ErrorKind},
    operator::Check,
};

use crate::{
    client::region_of,
    error::Call,
    queue::{Queue, QueueAttributes, QueuePermission},
};

/// A failed check, with the remedy that the error names.
pub fn failed(subject: impl Into<Box<str>>, error: &BackendError) -> Check {
    let text = error.to_string();
    let said = text.split_once(": ").filter(|_| error.kind() != ErrorKind::Unavailable);
    match said {
        Some((what, remedy)) => Check::failed(subject, what, remedy),
        None => Check::failed(subject, text.as_str(), remedy_of(error.kind())),
    }
}

fn remedy_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Throttled => "try again later, or ask AWS for a higher quota",
        ErrorKind::Unavailable => "check the network, endpoint_url and AWS's service status, and try again",
        ErrorKind::Denied => "renew the credentials, or grant the permission",
        _ => "correct the setting",
    }
}

/// Whose credentials are used. An endpoint of the operator's own may have no STS: then it cannot be told.
pub async fn identity(sdk: &SdkConfig) -> Check {
    const SUBJECT: &str = "credentials";
    let answered = aws_sdk_sts::Client::new(sdk).get_caller_identity().send().await;
    let call = Call {
        operation: "doctor",
        permission: "sts:GetCallerIdentity",
        target: "AWS's security token service",
        sends: false,
    };
    match answered.map_err(|error| call.failed(&error)) {
        Ok(identity) => Check::good(SUBJECT, identity.arn.unwrap_or_default()),
        Err(error) if sdk.endpoint_url().is_some() => {
            Check::skipped(SUBJECT, format!("the endpoint does not tell whose they are: {error}"))
        }
        Err(error) => failed(SUBJECT, &error),
    }
}

/// The region, and whether it is that of the queue or topic with this URL or ARN.
pub fn region(sdk: &SdkConfig, used: &str) -> Check {
    const SUBJECT: &str = "region";
    let Some(region) = sdk.region() else {
        return Check::failed(SUBJECT, "none is set", "set region, AWS_REGION or one in the profile");
    };
    match region_of(used) {
        Some(named) if named != region.as_ref() => Check::failed(
            SUBJECT,
            format!("it is {region}, and {used} is in {named}"),
            format!("write region = {named:?}, or leave it out"),
        ),
        _ => Check::good(SUBJECT, region.to_string()),
    }
}

/// Whether a queue with these attributes is there.
pub fn is_there(queue: &Queue, found: Result<&QueueAttributes, &BackendError>) -> Check {
    match found {
        Ok(found) => {
            let value = |name| found.get(&name).map_or("?", String::as_str);
            let bytes = value(QueueAttributeName::MaximumMessageSize);
            let waiting = value(QueueAttributeName::ApproximateNumberOfMessages);
            let seen = format!("reachable; takes {bytes} bytes a message; {waiting} messages wait in it");
            Check::good(queue.name(), seen)
        }
        Err(error) => failed(queue.name(), error),
    }
}

/// Whether a queue of requests with these attributes has a dead-letter queue.
pub fn dead_letters(role: &str, found: &QueueAttributes) -> Check {
    let subject = format!("dead-letter queue of the {role}");
    if found.contains_key(&QueueAttributeName::RedrivePolicy) {
        return Check::good(subject, "there is one");
    }
    Check::warning(
        subject,
        "there is none, so a request that no server survives comes back until it is too old",
        "give the queue a redrive policy: `provision` does",
    )
}

/// How many reply queues dead proxies left behind.
pub fn left_behind(found: Result<usize, BackendError>) -> Check {
    const SUBJECT: &str = "reply queues that dead proxies left behind";
    match found {
        Ok(0) => Check::good(SUBJECT, "none"),
        Ok(dead) => Check::good(SUBJECT, format!("{dead}, which the next proxy to start removes")),
        Err(error) if error.kind() == ErrorKind::Denied => Check::warning(
            SUBJECT,
            "they are not removed, for lack of a permission",
            "grant sqs:ListQueues on *, and sqs:ListQueueTags on the queues with the prefix",
        ),
        Err(error) => failed(SUBJECT, &error),
    }
}

/// Whether we have a permission on a queue.
pub async fn permission(queue: &Queue, permission: QueuePermission) -> Check {
    let subject = format!("permission {} on {}", permission.as_str(), queue.name());
    match queue.probe(permission).await {
        Ok(()) => Check::good(subject, "granted"),
        Err(error) => failed(subject, &error),
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use proxy_core::operator::Verdict;

    use super::*;

    #[test]
    fn the_region_has_to_be_the_queues() {
        let sdk = SdkConfig::builder().behavior_version(BehaviorVersion::latest());
        let sdk = sdk.region(Region::new("eu-west-1")).build();
        let verdict = |used| region(&sdk, used).verdict;
        assert_eq!(
            verdict("https://sqs.eu-west-1.amazonaws.com/1/requests"),
            Verdict::Good("eu-west-1".into())
        );
        assert_eq!(verdict("http://127.0.0.1:4566/1/requests"), Verdict::Good("eu-west-1".into()));
        assert!(matches!(verdict("https://sqs.us-east-1.amazonaws.com/1/requests"), Verdict::Failed { .. }));
    }

    #[test]
    fn what_an_error_says_to_do_is_the_remedy() {
        let error = BackendError::new(ErrorKind::Denied, "start", "access is denied: grant sqs:SendMessage");
        assert_eq!(failed("x", &error), Check::failed("x", "access is denied", "grant sqs:SendMessage"));
    }

    #[test]
    fn what_is_out_of_reach_is_not_mended_by_saying_so() {
        let text = "the queue cannot be reached: no connection";
        let error = BackendError::new(ErrorKind::Unavailable, "start", text);
        assert_eq!(failed("x", &error), Check::failed("x", text, remedy_of(ErrorKind::Unavailable)));
    }
}
