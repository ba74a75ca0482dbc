//! Creates, shows and removes the topics, queues and subscriptions that the configuration names.

mod access;
mod subscription;
mod topic;

pub(crate) use self::subscription::is_raw;
use aws_common::operator::{
    ProvisionedQueue, RequestQueuePlan, provision_queue, provision_request_queue_for,
};
use aws_sdk_sqs::Client;
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    config::refuse_problems,
    error::BackendError,
    operator::{Mode, Policy, Report, Step},
};

use crate::{SnsSqsConfig, backend::NAME, clients::Clients, policies, topic::Topic};

/// A queue and the topic that feeds it.
pub(crate) struct Link {
    pub(crate) topic: Topic,
    pub(crate) queue_url: String,
    pub(crate) queue_arn: String,
    pub(crate) raw: bool,
}

/// Creates what is missing, changes what is different, or removes it: the request topic, the server's queue with the queue for its dead
/// letters (named like it, with `-dead-letters`) and its raw subscription, the response topic, and, where one is configured, the queue that
/// answers are read from with its subscription. Each queue's policy lets its topic send. What was there before is not removed. Returns the policies for proxy and server.
///
/// The server's queue is called like the request topic, unless `server_queue_name` says otherwise. Settings are those of the SQS backend.
///
/// `clients` are the caller's own, in the place of those made from the configuration and the environment.
///
/// # Errors
/// `Config` for settings that cannot work, and for what would be created under another ARN or URL; otherwise those of the calls, which
/// name the missing permission. What was reported before was done.
pub async fn provision(
    config: &SnsSqsConfig,
    mode: Mode,
    clients: Option<(aws_sdk_sns::Client, aws_sdk_sqs::Client)>,
    report: Report<'_, Step>,
) -> Result<Vec<Policy>, BackendError> {
    refuse_problems("provision", &config.validate())?;
    let (sns, sqs) = clients.unzip();
    let clients = Clients::of(config, sns.as_ref(), sqs.as_ref()).await?;
    let metrics = BackendMetrics::new(NAME, &mut Registry::default());
    let topic = |arn: &str, role: &str| Topic::new(&clients.sns, arn, role, &metrics);
    let requests = Link {
        topic: topic(&config.sns_topic_arn, "request topic"),
        queue_url: config.server_queue_url(),
        queue_arn: config.server_queue_arn(),
        raw: true,
    };
    let plan = RequestQueuePlan::for_proxy(&requests.queue_url);
    let sqs = clients.sqs_beside(&config.sns_topic_arn);
    provision_requests(&sqs, &requests, &plan, mode, report).await?;
    let answers = topic(&config.response_topic_arn, "response topic");
    let Some((queue_url, queue_arn)) = config.sqs_queue_url.clone().zip(config.reply_queue_arn()) else {
        // the proxy creates queue and subscription itself
        answers.provision(mode, report).await?;
        return Ok(policies(config));
    };
    let answers = Link { topic: answers, queue_url, queue_arn, raw: config.raw_message_delivery };
    provision_answers(&clients.sqs, &answers, mode, report).await?;
    Ok(policies(config))
}

pub(crate) async fn provision_requests(
    sqs: &Client,
    link: &Link,
    plan: &RequestQueuePlan,
    mode: Mode,
    report: Report<'_, Step>,
) -> Result<(), BackendError> {
    if mode == Mode::Destroy {
        link.provision_subscription(sqs, mode, report).await?;
        provision_request_queue_for(sqs, plan, mode, report).await?;
        return link.topic.provision(mode, report).await;
    }
    link.topic.provision(mode, report).await?;
    provision_request_queue_for(sqs, plan, mode, report).await?;
    link.provision_access(sqs, mode, report).await?;
    link.provision_subscription(sqs, mode, report).await
}

async fn provision_answers(
    sqs: &Client,
    link: &Link,
    mode: Mode,
    report: Report<'_, Step>,
) -> Result<(), BackendError> {
    let queue = ProvisionedQueue::new(&link.queue_url);
    if mode == Mode::Destroy {
        link.provision_subscription(sqs, mode, report).await?;
        provision_queue(sqs, &queue, mode, report).await?;
        return link.topic.provision(mode, report).await;
    }
    link.topic.provision(mode, report).await?;
    provision_queue(sqs, &queue, mode, report).await?;
    link.provision_access(sqs, mode, report).await?;
    link.provision_subscription(sqs, mode, report).await
}
