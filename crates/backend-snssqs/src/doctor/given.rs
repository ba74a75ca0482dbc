//! The lines about a reply queue that is given, and its subscription.

use aws_common::{
    Queue, QueueAttributes,
    operator::{failed, is_there, reply_queue},
};
use aws_sdk_sqs::types::QueueAttributeName;
use proxy_core::{
    error::ErrorKind,
    id::InstanceId,
    operator::{Check, Report, Verdict},
};

use super::{queue, round_trip, topics};
use crate::{SnsSqsConfig, clients::Clients, provision::is_raw, topic::Topic};

/// What the queue's own lines begin with.
const SUBSCRIPTION: &str = "subscription of the reply queue";

pub(super) async fn check(
    config: &SnsSqsConfig,
    clients: &Clients,
    answers: &Topic,
    url: &str,
    report: Report<'_, Check>,
) {
    let replies = Queue::new(&clients.sqs, url, "reply queue", answers.metrics());
    let found = replies.attributes("start", [QueueAttributeName::All]).await;
    report(is_there(&replies, found.as_ref()));
    let Ok(found) = found else { return };
    report(queue::lets_send(&replies, &found, answers.arn()));
    report(subscription(config, answers, &found).await);
    let hindrance = reply_queue(&clients.sqs, &replies, &found, report).await;
    // the proxy itself does not publish there
    let publishes = topics::publishes(answers).await;
    report(match (hindrance, &publishes.verdict) {
        (None, Verdict::Good(_)) => {
            round_trip::check(answers, &clients.sqs, &replies, &InstanceId::random()).await
        }
        (None, _) => {
            let why = format!("grant sns:Publish on {} to have it tried", answers.name());
            Check::skipped("way of an answer", why)
        }
        (Some(why), _) => Check::skipped("way of an answer", why),
    });
}

async fn subscription(config: &SnsSqsConfig, answers: &Topic, found: &QueueAttributes) -> Check {
    let arn = found.get(&QueueAttributeName::QueueArn).map_or("", String::as_str);
    let subscriptions = match answers.subscriptions("doctor").await {
        Ok(subscriptions) => subscriptions,
        Err(error) if error.kind() == ErrorKind::Denied => {
            return Check::skipped(SUBSCRIPTION, error.to_string());
        }
        Err(error) => return failed(SUBSCRIPTION, &error),
    };
    let Some(subscription) = subscriptions.iter().find(|subscription| *subscription.queue_arn == *arn) else {
        return Check::failed(
            SUBSCRIPTION,
            format!("it is not subscribed to {}, so no answer comes", answers.name()),
            "subscribe it: `provision` does",
        );
    };
    let Some(arn) = &subscription.arn else { return topics::pending(SUBSCRIPTION) };
    let attributes = match answers.subscription_attributes("doctor", arn).await {
        Ok(attributes) => attributes,
        Err(error) if error.kind() == ErrorKind::Denied => {
            return Check::skipped(SUBSCRIPTION, error.to_string());
        }
        Err(error) => return failed(SUBSCRIPTION, &error),
    };
    let delivery = if is_raw(&attributes) { "raw" } else { "in envelopes" };
    if let Some(filter) = attributes.get("FilterPolicy").filter(|filter| !filter.is_empty()) {
        return Check::warning(
            SUBSCRIPTION,
            format!("it brings only what matches {filter}; delivery is {delivery}"),
            "remove the filter: session ids begin with an instance id that is new at each start",
        );
    }
    if is_raw(&attributes) == config.raw_message_delivery {
        return Check::good(SUBSCRIPTION, format!("it brings all answers; delivery is {delivery}"));
    }
    Check::warning(
        SUBSCRIPTION,
        format!("delivery is {delivery}, where raw_message_delivery = {}", config.raw_message_delivery),
        "either works, and raw is smaller: `provision` sets it",
    )
}
