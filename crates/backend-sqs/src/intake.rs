//! The worker's end: requests from one queue, answers to the queues that clients name.

mod config;
mod doctor;
mod policy;
mod provision;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_common::{
    LargePayloads, RequestQueues, RequestQueuesPlan, SenderPool,
    attributes::{decode_request, seal_reply},
    client, offload,
};
use aws_sdk_sqs::Client;
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics, ReplyAddress,
    backend::Limits,
    config::refuse_problems,
    error::{BackendError, ErrorKind},
    id::{InstanceId, RemoteSession},
    intake::{Arrival, Desk, Intake, Reply, ReplyTo, Stopping},
};

pub use self::{
    config::SqsIntakeConfig, doctor::intake_doctor, policy::intake_policies, provision::intake_provision,
};
use crate::backend::NAME;

/// What an intake is built with, beside its configuration.
#[derive(Debug)]
pub struct SqsIntakeParts<'registry> {
    /// The worker, kept in its ledger: what it left behind under this id is taken over.
    pub instance: InstanceId,
    /// Whether no other worker reads the queue. Otherwise a queue of its own is created, for the later requests of its sessions.
    pub sole: bool,
    /// The longest that a request may take (`request_timeout_max`): what could not be passed on to another worker by then is not.
    pub request_timeout_max: Duration,
    /// Where the metrics are registered; the names are complete, so it has no prefix of its own.
    pub registry: &'registry mut Registry,
    /// A client of the caller's own, in the place of one made from the configuration and the environment. Its retries are turned
    /// off, since the intake retries itself what certainly sent nothing; without a timeout it gets one of 20 s a call.
    pub client: Option<Client>,
    /// Large payloads over a caller's own client of S3, in the place of those that the configuration says.
    pub large_payloads: Option<LargePayloads>,
}

/// The worker's end of SQS. Keeps nothing for a session.
#[derive(Debug)]
pub struct SqsIntake {
    requests: RequestQueues,
    replies: SenderPool,
    payloads: Option<LargePayloads>,
}

impl SqsIntake {
    /// Finds the request queue and its dead-letter queue, checks that they may be used, and unless it is `sole`, creates a queue of the
    /// worker's own or takes it over, last of all. That one is deleted at the end of [`Intake::run`].
    ///
    /// A restart within a minute of such an end waits for the rest of that minute, in which SQS does not create the queue again.
    ///
    /// # Errors
    /// `Config` and `Denied` name the setting, or the queue and the missing permission; `Unavailable` when SQS cannot be reached.
    pub async fn connect(config: SqsIntakeConfig, parts: SqsIntakeParts<'_>) -> Result<Self, BackendError> {
        refuse_problems("start", &config.validate())?;
        let client = match &parts.client {
            Some(own) => client::without_retries(own),
            None => Client::new(&client::load(&config.client_settings(), &config.queue_url).await?),
        };
        let metrics = BackendMetrics::for_intake(NAME, parts.registry);
        let payloads = LargePayloads::at_start(
            parts.large_payloads,
            config.large_payloads.as_ref(),
            &config.client_settings(),
            &config.queue_url,
        )
        .await?;
        let requests = RequestQueues::connect(RequestQueuesPlan {
            client: client.clone(),
            queue_url: config.queue_url.as_str().into(),
            decode: decode_request,
            sole: parts.sole,
            own_queue_prefix: config.own_queue_prefix.into(),
            instance: parts.instance,
            dead_letter_queue_url: config.dead_letter_queue_url.map(Into::into),
            wait_time: config.wait_time,
            max_messages: config.max_messages,
            visibility_timeout: config.visibility_timeout,
            request_timeout_max: parts.request_timeout_max,
            payloads: payloads.clone(),
            by_topic: None,
            metrics: metrics.clone(),
        })
        .await?;
        let (url, bytes) = (&config.queue_url, requests.message_bytes());
        let replies = SenderPool::new(client, url, bytes, "the reply queue", metrics);
        Ok(Self { requests, replies, payloads })
    }
}

#[async_trait]
impl Intake for SqsIntake {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        Limits { message_bytes: self.replies.message_bytes() }
    }

    fn has_receipts(&self) -> bool {
        false
    }

    fn neighbourhood(&self) -> Vec<String> {
        self.requests.neighbourhood()
    }

    fn owner(&self) -> Option<&str> {
        self.requests.owner()
    }

    fn owner_of(&self, session: &RemoteSession) -> Option<Box<str>> {
        self.requests.owner_of(session)
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.requests.check().await
    }

    async fn run(&self, desk: Arc<dyn Desk>, stopping: Stopping) -> Result<(), BackendError> {
        self.requests.run(&desk, &stopping).await;
        self.replies.close().await;
        self.requests.end().await;
        Ok(())
    }

    #[tracing::instrument(name = "intake.reply", level = "debug", skip_all, fields(messaging.system = "aws_sqs", messaging.operation.type = "send"))]
    async fn reply(&self, reply: Reply) -> Result<(), BackendError> {
        let url: Box<str> = queue_of(reply.request.as_ref().unwrap_or(&reply.to))?.into();
        let payloads = self.payloads.as_ref();
        let message = seal_reply(&reply, &url, payloads);
        let (announced, deadline) = (reply.payloads, reply.deadline);
        drop(reply.message);
        let limit = self.replies.message_bytes();
        let message = offload(payloads, announced.as_deref(), message, limit, deadline).await?;
        self.replies.send(&url, message, deadline).await
    }

    async fn forward(&self, owner: &str, arrival: &Arrival) -> Result<(), BackendError> {
        self.requests.forward(owner, arrival).await
    }

    async fn close(&self, _session: &RemoteSession) {}
}

/// The queue that an answer goes to.
fn queue_of(to: &ReplyTo) -> Result<&str, BackendError> {
    match to {
        ReplyTo::Address(ReplyAddress::Sqs(url)) => Ok(url),
        ReplyTo::Address(ReplyAddress::Sns(_) | ReplyAddress::Url(_)) | ReplyTo::Response(_) => {
            let message = "the answer is asked to go to what is no queue";
            Err(BackendError::new(ErrorKind::Config, "reply", message))
        }
    }
}
