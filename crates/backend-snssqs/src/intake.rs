//! The worker's end: requests from a queue that is subscribed to a topic, answers to the topics that clients name.

mod config;
mod doctor;
mod policy;
mod provision;
mod replies;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_common::{LargePayloads, RequestQueues, RequestQueuesPlan};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    backend::Limits,
    config::refuse_problems,
    error::BackendError,
    id::{InstanceId, RemoteSession},
    intake::{Arrival, Desk, Intake, Reply, Stopping},
};

pub(crate) use self::config::OWN_QUEUE_PREFIX;
use self::replies::Replies;
pub use self::{
    config::SnsSqsIntakeConfig, doctor::intake_doctor, policy::intake_policies, provision::intake_provision,
};
use crate::{backend::NAME, clients::Clients, envelope, topic::DEFAULT_MESSAGE_BYTES};

/// What an intake is built with, beside its configuration.
#[derive(Debug)]
pub struct SnsSqsIntakeParts<'registry> {
    /// The worker. What it left behind under this id is taken over.
    pub instance: InstanceId,
    /// The longest that a request may take (`request_timeout_max`): for so long it is tried to pass on another worker's.
    pub request_timeout_max: Duration,
    /// Whether no other worker reads the queue: then this one has no queue of its own.
    pub sole: bool,
    /// Where the metrics are registered; the names are complete, so it has no prefix of its own.
    pub registry: &'registry mut Registry,
    /// A client of the caller's own for SNS, in the place of one made from the configuration and the environment. Its retries are
    /// turned off, since the intake retries itself what certainly sent nothing; without a timeout it gets one of 20 s a call.
    pub sns: Option<aws_sdk_sns::Client>,
    /// The same for SQS.
    pub sqs: Option<aws_sdk_sqs::Client>,
    /// Large payloads over a caller's own client of S3, in the place of those that the configuration says.
    pub large_payloads: Option<LargePayloads>,
}

/// The worker's end of SNS and SQS.
///
/// Keeps nothing for a session.
#[derive(Debug)]
pub struct SnsSqsIntake {
    queues: RequestQueues,
    replies: Replies,
}

impl SnsSqsIntake {
    /// Finds the queue, and creates the worker's own unless it is the sole one, and checks that they may be used. Clients name the topics
    /// that answers go to, so those are not looked at.
    ///
    /// A created queue is deleted at the end of [`Intake::run`].
    ///
    /// # Errors
    /// `Config` and `Denied` name the setting, or the queue and the missing permission; `Unavailable` when AWS cannot be reached.
    pub async fn connect(
        config: SnsSqsIntakeConfig,
        parts: SnsSqsIntakeParts<'_>,
    ) -> Result<Self, BackendError> {
        refuse_problems("start", &config.validate())?;
        let clients = Clients::of_intake(&config, parts.sns.as_ref(), parts.sqs.as_ref()).await?;
        let metrics = BackendMetrics::for_intake(NAME, parts.registry);
        let payloads = LargePayloads::at_start(
            parts.large_payloads,
            config.large_payloads.as_ref(),
            &config.client_settings(),
            &config.queue_url,
        )
        .await?;
        let plan = RequestQueuesPlan {
            client: clients.sqs.clone(),
            queue_url: config.queue_url.as_str().into(),
            decode: envelope::decode_request,
            sole: parts.sole,
            own_queue_prefix: config.own_queue_prefix.into(),
            instance: parts.instance,
            dead_letter_queue_url: config.dead_letter_queue_url.map(Into::into),
            wait_time: config.wait_time,
            max_messages: config.max_messages,
            visibility_timeout: config.visibility_timeout,
            request_timeout_max: parts.request_timeout_max,
            payloads: payloads.clone(),
            by_topic: Some(envelope::claim_check),
            metrics: metrics.clone(),
        };
        let replies = Replies::new(clients, &config.queue_url, payloads, metrics);
        Ok(Self { queues: RequestQueues::connect(plan).await?, replies })
    }
}

#[async_trait]
impl Intake for SnsSqsIntake {
    fn name(&self) -> &'static str {
        NAME
    }

    /// What a topic takes that does not say: a client's may take more.
    fn limits(&self) -> Limits {
        Limits { message_bytes: DEFAULT_MESSAGE_BYTES }
    }

    fn has_receipts(&self) -> bool {
        false
    }

    fn neighbourhood(&self) -> Vec<String> {
        self.queues.neighbourhood()
    }

    fn owner(&self) -> Option<&str> {
        self.queues.owner()
    }

    fn owner_of(&self, session: &RemoteSession) -> Option<Box<str>> {
        self.queues.owner_of(session)
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.queues.check().await
    }

    async fn run(&self, desk: Arc<dyn Desk>, stopping: Stopping) -> Result<(), BackendError> {
        self.queues.run(&desk, &stopping).await;
        self.replies.close().await;
        self.queues.end().await;
        Ok(())
    }

    #[tracing::instrument(name = "intake.reply", level = "debug", skip_all, fields(messaging.system = "aws.sns", messaging.operation.type = "send"))]
    async fn reply(&self, reply: Reply) -> Result<(), BackendError> {
        self.replies.send(reply).await
    }

    async fn forward(&self, owner: &str, arrival: &Arrival) -> Result<(), BackendError> {
        self.queues.forward(owner, arrival).await
    }

    async fn close(&self, _session: &RemoteSession) {}
}
