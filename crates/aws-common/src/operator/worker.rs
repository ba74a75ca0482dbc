//! The doctor's lines about a worker's queues.

use std::time::Duration;

use proxy_core::{
    config::duration,
    error::{BackendError, ErrorKind},
    operator::Check,
};

use super::failed;
use crate::{queue::QueueAttributes, redrive::RedrivePolicy};

/// Below this a worker that stands still for a moment, a busy machine's say, loses its requests to others.
const SHORTEST: Duration = Duration::from_secs(10);

/// The dead-letter queue of the request queue at `url`, which has these attributes: the one at `named` or that of its redrive policy, whose
/// count is held against the worker's `max_receives`. Returns its URL, too.
pub fn dead_letters_of_worker(
    url: &str,
    named: Option<&str>,
    found: &QueueAttributes,
    max_receives: u32,
) -> (Check, Option<String>) {
    const SUBJECT: &str = "dead-letter queue of the request queue";
    let policy = RedrivePolicy::of(found);
    let letters = named.map(str::to_owned).or_else(|| policy.as_ref()?.target_url(url));
    let name = letters.as_deref().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
    let count = policy.map(|policy| policy.max_receive_count);
    let check = match count {
        Some(count) if count <= max_receives => Check::warning(
            SUBJECT,
            format!(
                "SQS itself takes a request away after {count} receives, before the worker, whose max_receives is {max_receives}, has told its client why"
            ),
            format!(
                "give the redrive policy a maxReceiveCount of {} or more: `provision` does",
                max_receives.saturating_add(1)
            ),
        ),
        _ if letters.is_none() => Check::warning(
            SUBJECT,
            "there is none, so requests that can never be done are deleted",
            "set dead_letter_queue_url, or give the queue a redrive policy: `provision` does",
        ),
        Some(count) => Check::good(SUBJECT, format!("{name}; SQS itself uses it after {count} receives")),
        None => Check::good(SUBJECT, format!("{name}; SQS itself does not use it")),
    };
    (check, letters)
}

/// Whether requests stay hidden long enough for a worker that stands still for a moment.
pub fn hidden_for(visibility_timeout: Duration) -> Check {
    const SUBJECT: &str = "visibility timeout";
    let said = format!("{}, extended while a request is worked on", duration::format(visibility_timeout));
    if visibility_timeout < SHORTEST {
        let remedy = format!("write visibility_timeout = \"{}\" or more", duration::format(SHORTEST));
        return Check::warning(
            SUBJECT,
            format!("{said}; a worker that is held up loses its requests"),
            remedy,
        );
    }
    Check::good(SUBJECT, said)
}

/// How many queues dead workers left behind.
pub fn left_behind_by_workers(found: Result<usize, BackendError>) -> Check {
    const SUBJECT: &str = "queues that dead workers left behind";
    match found {
        Ok(0) => Check::good(SUBJECT, "none"),
        Ok(dead) => Check::good(SUBJECT, format!("{dead}, which the next worker to start removes")),
        Err(error) if error.kind() == ErrorKind::Denied => Check::warning(
            SUBJECT,
            "they are not removed, and what is in them is not answered, for lack of a permission",
            "grant sqs:ListQueues on *, and sqs:ListQueueTags on the queues with the prefix",
        ),
        Err(error) => failed(SUBJECT, &error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_sqs::types::QueueAttributeName;
    use proxy_core::operator::Verdict;

    use super::*;

    const URL: &str = "https://sqs.eu-west-1.amazonaws.com/1/requests";

    #[test]
    fn sqs_must_not_take_a_request_away_before_the_worker_says_why() {
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:dead","maxReceiveCount":"5"}"#;
        let found = HashMap::from([(QueueAttributeName::RedrivePolicy, policy.to_owned())]);
        let (check, letters) = dead_letters_of_worker(URL, None, &found, 4);
        assert!(matches!(check.verdict, Verdict::Good(_)), "{check:?}");
        assert_eq!(letters.as_deref(), Some("https://sqs.eu-west-1.amazonaws.com/1/dead"));
        let (check, letters) = dead_letters_of_worker(URL, Some("https://q/1/named"), &found, 5);
        assert!(matches!(check.verdict, Verdict::Warning { .. }), "{check:?}");
        assert_eq!(letters.as_deref(), Some("https://q/1/named"));
    }

    #[test]
    fn without_a_dead_letter_queue_there_is_a_warning() {
        let (check, letters) = dead_letters_of_worker(URL, None, &HashMap::new(), 5);
        assert!(matches!(check.verdict, Verdict::Warning { .. }));
        assert_eq!(letters, None);
        let (check, _) = dead_letters_of_worker(URL, Some("https://q/1/named"), &HashMap::new(), 5);
        assert!(matches!(check.verdict, Verdict::Good(_)));
    }
}
