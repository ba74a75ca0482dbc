//! The doctor's lines about a worker's queues.

use std::time::Duration;

use aws_sdk_sqs::{Client, types::QueueAttributeName};
use proxy_core::{
    BackendMetrics,
    config::duration,
    error::{BackendError, ErrorKind},
    operator::{Check, Report},
};

use super::{DateObserver, clock, failed, is_there, permission};
use crate::{
    queue::{Queue, QueueAttributes, QueuePermission},
    redrive::RedrivePolicy,
    worker_queue::{dead_worker_queues, try_worker_queue},
};

/// Below this a worker that stands still for a moment, a busy machine's say, loses its requests to others.
const SHORTEST: Duration = Duration::from_secs(10);

/// A worker's queues, as the doctor looks at them.
#[derive(Debug)]
pub struct WorkerChecks<'settings> {
    /// The client.
    pub client: &'settings Client,
    /// The URL of the queue that all workers read.
    pub queue_url: &'settings str,
    /// The URL of the queue for dead letters, where one is named.
    pub dead_letter_queue_url: Option<&'settings str>,
    /// What the name of a worker's own queue begins with.
    pub own_queue_prefix: &'settings str,
    /// How long a request stays hidden from other workers.
    pub visibility_timeout: Duration,
    /// After how many receives the worker gives a request up.
    pub max_receives: u32,
    /// What counts the calls.
    pub metrics: &'settings BackendMetrics,
}

impl WorkerChecks<'_> {
    /// The queue that all workers read.
    pub fn requests(&self) -> Queue {
        Queue::new(self.client, self.queue_url, "request queue", self.metrics)
    }

    /// Reports the clock, whose `dates` the client observes, and of the request queue whether it is there, the permissions, how long it hides
    /// requests, and where dead letters go. Returns its attributes, if it is there.
    pub async fn check_requests(
        &self,
        dates: &DateObserver,
        report: Report<'_, Check>,
    ) -> Option<QueueAttributes> {
        let requests = self.requests();
        let found = requests.attributes("start", [QueueAttributeName::All]).await;
        report(clock(dates.ahead()));
        report(is_there(&requests, found.as_ref()));
        let found = found.ok()?;
        for needed in
            [QueuePermission::Receive, QueuePermission::Delete, QueuePermission::Hide, QueuePermission::Send]
        {
            report(permission(&requests, needed).await);
        }
        report(hidden_for(self.visibility_timeout));
        let (check, letters) =
            dead_letters(self.queue_url, self.dead_letter_queue_url, &found, self.max_receives);
        report(check);
        if let Some(url) = letters {
            let letters = Queue::new(self.client, &url, "dead-letter queue", self.metrics);
            report(permission(&letters, QueuePermission::Send).await);
        }
        Some(found)
    }

    /// Reports whether the worker's own queue can be created, by one on trial that is deleted again, and what dead workers left behind. One that
    /// is `sole` has none.
    pub async fn check_own(&self, sole: bool, report: Report<'_, Check>) {
        const SUBJECT: &str = "creation of the worker's own queue";
        if sole {
            return report(Check::skipped(SUBJECT, "the only worker needs none"));
        }
        let Self { client, own_queue_prefix, metrics, .. } = self;
        report(match try_worker_queue(client, own_queue_prefix, metrics).await {
            Ok(()) => Check::good(SUBJECT, "one on trial was created and deleted again"),
            Err(error) => failed(SUBJECT, &error),
        });
        report(left_behind(dead_worker_queues(client, own_queue_prefix, metrics).await));
    }
}

/// The dead-letter queue of the request queue at `url`, which has these attributes: the one at `named` or that of its redrive policy, whose
/// count is held against the worker's `max_receives`. Returns its URL, too.
fn dead_letters(
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
fn hidden_for(visibility_timeout: Duration) -> Check {
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
fn left_behind(found: Result<usize, BackendError>) -> Check {
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

    use proxy_core::operator::Verdict;

    use super::*;

    const URL: &str = "https://sqs.eu-west-1.amazonaws.com/1/requests";

    #[test]
    fn sqs_must_not_take_a_request_away_before_the_worker_says_why() {
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:dead","maxReceiveCount":"5"}"#;
        let found = HashMap::from([(QueueAttributeName::RedrivePolicy, policy.to_owned())]);
        let (check, letters) = dead_letters(URL, None, &found, 4);
        assert!(matches!(check.verdict, Verdict::Good(_)), "{check:?}");
        assert_eq!(letters.as_deref(), Some("https://sqs.eu-west-1.amazonaws.com/1/dead"));
        let (check, letters) = dead_letters(URL, Some("https://q/1/named"), &found, 5);
        assert!(matches!(check.verdict, Verdict::Warning { .. }), "{check:?}");
        assert_eq!(letters.as_deref(), Some("https://q/1/named"));
    }

    #[test]
    fn without_a_dead_letter_queue_there_is_a_warning() {
        let (check, letters) = dead_letters(URL, None, &HashMap::new(), 5);
        assert!(matches!(check.verdict, Verdict::Warning { .. }));
        assert_eq!(letters, None);
        let (check, _) = dead_letters(URL, Some("https://q/1/named"), &HashMap::new(), 5);
        assert!(matches!(check.verdict, Verdict::Good(_)));
    }
}
