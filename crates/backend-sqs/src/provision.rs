//! Creates, shows and removes the queues that the configuration names.

use aws_common::{
    client,
    operator::{ProvisionedQueue, provision_queue, provision_request_queue},
};
use aws_sdk_sqs::Client;
use proxy_core::{
    config::refuse_problems,
    error::BackendError,
    operator::{Mode, Policy, Report, Step},
};

use crate::{SqsConfig, policies};

/// Creates what is missing, changes what is different, or removes it: the request queue, the queue for its dead letters (named like it,
/// with `-dead-letters`), and the response queue, where one is configured. Returns the policies for proxy and server.
///
/// A message goes to the dead letters when it was received five times and never deleted. Messages are kept for two hours, dead letters
/// for 14 days; the largest is 1 MiB; all are encrypted with SQS's own keys, unless the queue has a KMS key. A queue that was there before
/// stays when the others are removed, and keeps a longer retention, a longer visibility timeout and a redrive policy of its own.
///
/// `client` is one of the caller's own, in the place of one made from the configuration and the environment.
///
/// # Errors
/// `Config` for settings that cannot work, and for a queue that would be created under another URL; otherwise those of the calls,
/// which name the missing permission. What was reported before was done.
pub async fn provision(
    config: &SqsConfig,
    mode: Mode,
    client: Option<Client>,
    report: Report<'_, Step>,
) -> Result<Vec<Policy>, BackendError> {
    refuse_problems("provision", &config.validate())?;
    let client = match client {
        Some(own) => own,
        None => Client::new(&client::load(&config.client_settings(), &config.read_queue_url).await?),
    };
    provision_request_queue(&client, &config.read_queue_url, mode, report).await?;
    if let Some(url) = &config.response_queue_url {
        provision_queue(&client, &ProvisionedQueue::new(url), mode, report).await?;
    }
    Ok(policies(config))
}
