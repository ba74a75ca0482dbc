//! The lines about a reply queue and a subscription that the proxy is to create.

use std::time::Duration;

use aws_common::operator::{failed, left_behind};
use proxy_core::{
    error::ErrorKind,
    id::InstanceId,
    operator::{Check, Report},
};

use super::{round_trip, topics};
use crate::{SnsSqsConfig, clients::Clients, return_path::CreatedPath, topic::Topic};

/// How long a queue that is created on trial would keep messages.
const TRIAL: Duration = Duration::from_mins(1);

/// What the line about the trial is about.
const CREATION: &str = "creation of reply queue and subscription";

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
    report(left_behind(trial.look_for_dead().await));
}
