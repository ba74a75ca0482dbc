//! Creates, shows and removes what the configuration of a worker names.

use aws_common::{
    client,
    operator::{RequestQueuePlan, provision_request_queue_for},
};
use aws_sdk_sqs::Client;
use proxy_core::{
    config::refuse_problems,
    error::BackendError,
    operator::{Mode, Policy, Report, Step},
};

use super::{SqsIntakeConfig, intake_policies};

/// Creates what is missing, changes what is different, or removes it: the request queue, and the queue for its dead letters (the one that is
/// named, else one named like it, with `-dead-letters`). What was there before is not removed. Returns the worker's policy. The worker's own
/// queue is its own to create.
///
/// The queue's redrive policy takes a message away only after more receives than `max_receives`, that of `[worker]`, so that it is the
/// worker who says why.
///
/// `client` is one of the caller's own, in the place of one made from the configuration and the environment.
///
/// # Errors
/// `Config` for settings that cannot work, and for a queue that would be created under another URL; otherwise those of the calls,
/// which name the missing permission. What was reported before was done.
pub async fn intake_provision(
    config: &SqsIntakeConfig,
    max_receives: u32,
    mode: Mode,
    client: Option<Client>,
    report: Report<'_, Step>,
) -> Result<Vec<Policy>, BackendError> {
    refuse_problems("provision", &config.validate())?;
    let client = match client {
        Some(own) => own,
        None => Client::new(&client::load(&config.client_settings(), &config.queue_url).await?),
    };
    let plan = RequestQueuePlan::for_worker(
        &config.queue_url,
        config.dead_letter_queue_url.as_deref(),
        max_receives,
    );
    provision_request_queue_for(&client, &plan, mode, report).await?;
    Ok(intake_policies(config))
}
