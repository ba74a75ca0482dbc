//! The lines about the topics themselves.

use std::collections::HashMap;

use aws_common::operator::failed;
use proxy_core::{
    error::{BackendError, ErrorKind},
    operator::{Check, Report},
};

use crate::{SnsSqsConfig, subscriptions::Subscription, topic::Topic};

/// From here on a topic's subscriptions with a filter are a warning: SNS takes 200 (SNS quotas).
const MANY: usize = 160;

/// The lines about the request topic.
pub(super) async fn requests(
    config: &SnsSqsConfig,
    topic: &Topic,
    found: Result<HashMap<String, String>, BackendError>,
    report: Report<'_, Check>,
) {
    match found {
        Ok(found) => {
            let bytes = found.get("MaximumMessageSize").map_or("262144", String::as_str);
            report(Check::good(topic.name(), format!("reachable; takes {bytes} bytes a message")));
        }
        Err(error) => return report(failed(topic.name(), &error)),
    }
    report(publishes(topic).await);
    report(server_subscription(config, topic).await);
}

/// The lines about the response topic; whether it is there.
pub(super) async fn answers(topic: &Topic, report: Report<'_, Check>) -> bool {
    match topic.attributes("start").await {
        Ok(_) => report(Check::good(topic.name(), "reachable")),
        // neither proxy nor server needs to look at it
        Err(error) if error.kind() == ErrorKind::Denied => {
            report(Check::skipped(topic.name(), error.to_string()));
        }
        Err(error) => {
            report(failed(topic.name(), &error));
            return false;
        }
    }
    true
}

/// Whether we may publish.
pub(super) async fn publishes(topic: &Topic) -> Check {
    let subject = format!("permission sns:Publish on {}", topic.name());
    match topic.check_publishes().await {
        Ok(()) => Check::good(subject, "granted"),
        Err(error) => failed(subject, &error),
    }
}

/// That a subscription is there, and brings nothing.
pub(super) fn pending(subject: &str) -> Check {
    Check::failed(
        subject,
        "it waits for confirmation, and brings nothing until then",
        "have the queue's owner subscribe it, or open the SubscribeURL in the message that SNS sent to the queue",
    )
}

/// How near the topic is to its limit of subscriptions with a filter.
pub(super) fn filters(prefix: &str, queue_arns: &[&str]) -> Check {
    const SUBJECT: &str = "subscriptions with a filter";
    let own = format!(":{prefix}-");
    let count = queue_arns.iter().filter(|arn| arn.contains(&own)).count();
    let what = format!("proxies have {count} of the 200 that a topic takes");
    if count < MANY {
        Check::good(SUBJECT, what)
    } else {
        Check::warning(
            SUBJECT,
            what,
            "ask AWS for a higher quota, or give some of the proxies another response topic",
        )
    }
}

async fn server_subscription(config: &SnsSqsConfig, topic: &Topic) -> Check {
    const SUBJECT: &str = "subscription of the server's queue";
    let wanted = config.server_queue_arn();
    let is_wanted = |subscription: &Subscription| *subscription.queue_arn == *wanted;
    match topic.subscriptions("doctor").await {
        Ok(found)
            if found.iter().any(|subscription| is_wanted(subscription) && subscription.arn.is_some()) =>
        {
            Check::good(SUBJECT, format!("{wanted} is subscribed to {}", topic.name()))
        }
        Ok(found) if found.iter().any(is_wanted) => pending(SUBJECT),
        Ok(found) if found.is_empty() => Check::failed(
            SUBJECT,
            format!("no queue is subscribed to {}, so requests go nowhere", topic.name()),
            "subscribe the server's queue: `provision` does",
        ),
        Ok(found) if config.server_queue_name.is_none() => {
            let queues: Vec<&str> = found.iter().map(|subscription| &*subscription.queue_arn).collect();
            Check::good(SUBJECT, format!("{} is subscribed to {}", queues.join(", "), topic.name()))
        }
        Ok(_) => Check::failed(
            SUBJECT,
            format!("{wanted} is not subscribed to {}", topic.name()),
            "subscribe it, which `provision` does, or correct server_queue_name",
        ),
        Err(error) if error.kind() == ErrorKind::Denied => Check::skipped(SUBJECT, error.to_string()),
        Err(error) => failed(SUBJECT, &error),
    }
}

#[cfg(test)]
mod tests {
    use proxy_core::operator::Verdict;

    use super::*;

    #[test]
    fn near_200_filters_it_is_a_warning() {
        let arn = "arn:aws:sqs:eu-west-1:1:answers-x";
        assert!(matches!(filters("answers", &[arn; 159]).verdict, Verdict::Good(_)));
        assert!(matches!(filters("answers", &[arn; 160]).verdict, Verdict::Warning { .. }));
        assert!(matches!(filters("other", &[arn; 160]).verdict, Verdict::Good(_)));
    }
}
