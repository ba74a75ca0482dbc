//! Creates, shows and removes what the configuration of a worker names.

use aws_common::operator::{RequestQueuePlan, provision_request_queue_for};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    config::refuse_problems,
    error::BackendError,
    operator::{Mode, Policy, Report, Step},
};

use super::{SnsSqsIntakeConfig, intake_policies};
use crate::{
    backend::NAME,
    clients::Clients,
    provision::{Link, provision_requests},
    topic::Topic,
};

/// Creates what is missing, changes what is different, or removes it: the request queue with the queue for its dead letters (the one that is
/// named, else one named like it, with `-dead-letters`) and, where `request_topic_arn` is set, the request topic, the queue's policy, which
/// lets the topic send, and its subscription. What was there before is not removed. Returns the worker's policy. The worker's own queue is
/// its own to create.
///
/// The queue's redrive policy takes a message away only after more receives than `max_receives`, that of `[worker]`, so that it is the
/// worker who says why.
///
/// `clients` are the caller's own, in the place of those made from the configuration and the environment.
///
/// # Errors
/// `Config` for settings that cannot work, and for what would be created under another ARN or URL; otherwise those of the calls, which
/// name the missing permission. What was reported before was done.
pub async fn intake_provision(
    config: &SnsSqsIntakeConfig,
    max_receives: u32,
    mode: Mode,
    clients: Option<(aws_sdk_sns::Client, aws_sdk_sqs::Client)>,
    report: Report<'_, Step>,
) -> Result<Vec<Policy>, BackendError> {
    refuse_problems("provision", &config.validate())?;
    let (sns, sqs) = clients.unzip();
    let clients = Clients::of_intake(config, sns.as_ref(), sqs.as_ref()).await?;
    let letters = config.dead_letter_queue_url.as_deref();
    let plan = RequestQueuePlan::for_worker(&config.queue_url, letters, max_receives);
    let Some(arn) = &config.request_topic_arn else {
        provision_request_queue_for(&clients.sqs, &plan, mode, report).await?;
        return Ok(intake_policies(config));
    };
    let metrics = BackendMetrics::for_intake(NAME, &mut Registry::default());
    let link = Link {
        topic: Topic::new(&clients.sns_for(arn), arn, "request topic", &metrics),
        queue_url: config.queue_url.clone(),
        queue_arn: config.queue_arn(),
        raw: config.raw_message_delivery,
    };
    provision_requests(&clients.sqs, &link, &plan, mode, report).await?;
    Ok(intake_policies(config))
}
