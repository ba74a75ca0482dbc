//! The lines about a reply queue and a subscription that the proxy is to create.

use std::time::Duration;

use aws_common::operator::failed;
use proxy_core::{
    error::ErrorKind,
    id::InstanceId,
    operator::{Check, Report},
};

use super::{round_trip, topics};
use crate::{SnsSqsConfig, clients::Clients, return_path::CreatedPath, topic::Topic};

/// How long a queue that is created on trial would keep messages.
const TRIAL: Duration = Duration::from_mins(1);

/// What the lines are about.
const CREATION: &str = "creation of reply queue and subscription";
const LEFT_BEHIND: &str = "reply queues that dead proxies left behind";

pub(super) async fn check(
    config: &SnsSqsConfig,
    clients: &Clients,
    answers: Topic,
    report: Report<'_, Check>,
) {
    report(match answers.subscriptions("doctor").await {
        Ok(found) => {
            let queues: Vec<&str> = found.iter().map(|subscription| &*subscription.queue_arn).collect();
            topics::filters(&config.response_queue_prefix, &queues)
        }
        Err(error) if error.kind() == ErrorKind::Denied => {
            Check::skipped("subscriptions with a filter", error.to_string())
        }
        Err(error) => failed("subscriptions with a filter", &error),
    });
    let (instance, metrics) = (InstanceId::random(), answers.metrics().clone());
    let created = CreatedPath::create(clients, config, answers, &instance, TRIAL, &metrics);
    let trial = match Box::pin(created).await {
        Ok(trial) => trial,
        Err(error) => return report(failed(CREATION, &error)),
    };
    report(round_trip::check(trial.topic(), &clients.sqs, trial.queue(), &instance).await);
    report(match trial.try_delete().await {
        Ok(()) => Check::good(CREATION, "some on trial were created, used and removed again"),
        Err(error) => failed(CREATION, &error),
    });
    report(match trial.look_for_dead().await {
        Ok(0) => Check::good(LEFT_BEHIND, "none"),
        Ok(dead) => Check::good(LEFT_BEHIND, format!("{dead}, which the next proxy to start removes")),
        Err(error) if error.kind() == ErrorKind::Denied => Check::warning(
            LEFT_BEHIND,
            "they are not removed, for lack of a permission",
            "grant sqs:ListQueues on *, and sqs:ListQueueTags on the queues with the prefix",
        ),
        Err(error) => failed(LEFT_BEHIND, &error),
    });
}
