//! The lines about a reply queue that is given, and its subscription.

use aws_common::{
    Queue,
    operator::{is_there, reply_queue},
};
use aws_sdk_sqs::types::QueueAttributeName;
use proxy_core::{
    id::InstanceId,
    operator::{Check, Report, Verdict},
};

use super::{
    queue, round_trip,
    subscription::{self, Subscribed},
    topics,
};
use crate::{SnsSqsConfig, clients::Clients, topic::Topic};

/// What is said of its subscription.
const OF_REPLIES: Subscribed = Subscribed {
    subject: "subscription of the reply queue",
    missing: "so no answer comes",
    unfiltered: "all answers",
    no_filter: "remove the filter: session ids begin with an instance id that is new at each start",
};

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
    report(subscription::check(&OF_REPLIES, answers, &found, config.raw_message_delivery).await);
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
