//! The line about the subscription of a queue that is given.

use aws_common::{QueueAttributes, operator::failed};
use aws_sdk_sqs::types::QueueAttributeName;
use proxy_core::{error::ErrorKind, operator::Check};

use super::topics;
use crate::{provision::is_raw, topic::Topic};

/// What is said of a subscription.
pub(crate) struct Subscribed {
    /// What the line is about.
    pub(crate) subject: &'static str,
    /// What follows where it is missing.
    pub(crate) missing: &'static str,
    /// What it brings without a filter.
    pub(crate) unfiltered: &'static str,
    /// Why it must have no filter.
    pub(crate) no_filter: &'static str,
}

/// Whether the queue with these attributes is subscribed to the topic, with this delivery and without a filter.
pub(crate) async fn check(said: &Subscribed, topic: &Topic, found: &QueueAttributes, raw: bool) -> Check {
    let arn = found.get(&QueueAttributeName::QueueArn).map_or("", String::as_str);
    let subscriptions = match topic.subscriptions("doctor").await {
        Ok(subscriptions) => subscriptions,
        Err(error) if error.kind() == ErrorKind::Denied => {
            return Check::skipped(said.subject, error.to_string());
        }
        Err(error) => return failed(said.subject, &error),
    };
    let Some(subscription) = subscriptions.iter().find(|subscription| *subscription.queue_arn == *arn) else {
        return Check::failed(
            said.subject,
            format!("it is not subscribed to {}, {}", topic.name(), said.missing),
            "subscribe it: `provision` does",
        );
    };
    let Some(arn) = &subscription.arn else { return topics::pending(said.subject) };
    let attributes = match topic.subscription_attributes("doctor", arn).await {
        Ok(attributes) => attributes,
        Err(error) if error.kind() == ErrorKind::Denied => {
            return Check::skipped(said.subject, error.to_string());
        }
        Err(error) => return failed(said.subject, &error),
    };
    let delivery = if is_raw(&attributes) { "raw" } else { "in envelopes" };
    if let Some(filter) = attributes.get("FilterPolicy").filter(|filter| !filter.is_empty()) {
        return Check::warning(
            said.subject,
            format!("it brings only what matches {filter}; delivery is {delivery}"),
            said.no_filter,
        );
    }
    if is_raw(&attributes) == raw {
        return Check::good(said.subject, format!("it brings {}; delivery is {delivery}", said.unfiltered));
    }
    Check::warning(
        said.subject,
        format!("delivery is {delivery}, where raw_message_delivery = {raw}"),
        "either works, and raw is smaller: `provision` sets it",
    )
}
