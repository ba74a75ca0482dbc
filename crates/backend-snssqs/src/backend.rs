//! The backend: requests to a topic, answers from a queue that is subscribed to another.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_common::{
    BatchingSender, Envelope, LargePayloads, Owners, PayloadReader, PollSettings, Poller, PollerSettings,
    SenderPool, offload,
};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics, ReplyAddress,
    backend::{Backend, Inbox, Limits, Outbound, Remote, Sent},
    config::refuse_problems,
    error::{BackendError, ErrorKind},
    id::InstanceId,
    message::{InvalidParams, Message},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    clients::Clients,
    config::SnsSqsConfig,
    envelope,
    return_path::{CreatedPath, ReturnPath},
    topic::{Topic, TopicDestination},
};

/// Its name in the configuration and in metrics.
pub(crate) const NAME: &str = "snssqs";

/// How long a far end is tried to be told that a session has ended.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// What a backend is built with, beside its configuration.
#[derive(Debug)]
pub struct SnsSqsParts<'registry> {
    /// Where received messages are handed over.
    pub inbox: Arc<dyn Inbox>,
    /// The process.
    pub instance: InstanceId,
    /// The longest that a request may take (`request_timeout_max`): older messages of other instances are deleted, and a created
    /// reply queue keeps messages for an hour more.
    pub request_timeout_max: Duration,
    /// Where the metrics are registered; the names are complete, so it has no prefix of its own.
    pub registry: &'registry mut Registry,
    /// A client of the caller's own for SNS, in the place of one made from the configuration and the environment. Its retries are
    /// turned off, since the backend retries itself what certainly sent nothing; without a timeout it gets one of 20 s a call.
    pub sns: Option<aws_sdk_sns::Client>,
    /// The same for SQS.
    pub sqs: Option<aws_sdk_sqs::Client>,
    /// Large payloads over a caller's own client of S3, in the place of those that the configuration says.
    pub large_payloads: Option<LargePayloads>,
}

/// The proxy's end of SNS and SQS.
///
/// Keeps nothing for a session. An asyncmcp server cannot be told that a session has ended and keeps it for ever; our worker is. What
/// goes to a worker that named a queue of its own goes there directly, as far as `owner_allow` lets it.
#[derive(Debug)]
pub struct SnsSqsBackend {
    requests: Topic,
    response_topic_arn: Box<str>,
    reply: ReplyAddress,
    return_path: ReturnPath,
    envelope: Envelope,
    sender: BatchingSender,
    owners: Owners,
    poller: Poller,
    limits: Limits,
    payloads: Option<LargePayloads>,
}

impl SnsSqsBackend {
    /// Finds the topics and the queue, or creates queue and subscription where none is configured, and checks that they may be used.
    ///
    /// What was created is removed at the end of [`Backend::run`].
    ///
    /// # Errors
    /// `Config` and `Denied` name the setting, or the topic or queue and the missing permission; `Unavailable` when AWS cannot be
    /// reached.
    pub async fn connect(config: SnsSqsConfig, parts: SnsSqsParts<'_>) -> Result<Self, BackendError> {
        refuse_problems("start", &config.validate())?;
        let clients = Clients::of(&config, parts.sns.as_ref(), parts.sqs.as_ref()).await?;
        let metrics = BackendMetrics::new(NAME, parts.registry);
        let default_client_id = || format!("mcp-proxy-{}", parts.instance.as_str());
        let client_id = config.client_id.clone().unwrap_or_else(default_client_id);
        let payloads = LargePayloads::at_start(
            parts.large_payloads,
            config.large_payloads.as_ref(),
            &config.queue_settings(),
            &config.response_topic_arn,
        )
        .await?;
        let envelope = Envelope::new(&client_id, &config.message_attributes)?.announcing(payloads.as_ref());
        let requests = Topic::new(&clients.sns, &config.sns_topic_arn, "request topic", &metrics);
        let message_bytes = requests.message_bytes("start").await?;
        requests.check_publishes().await?;
        let return_path = if let Some(url) = &config.sqs_queue_url {
            ReturnPath::given(&clients, url, &metrics).await?
        } else {
            let topic = Topic::new(&clients.sns, &config.response_topic_arn, "response topic", &metrics);
            let longest = parts.request_timeout_max;
            let path = CreatedPath::create(&clients, &config, topic, &parts.instance, longest, &metrics);
            ReturnPath::Created(Box::new(path.await?))
        };
        let destination = TopicDestination::new(&requests);
        let sender = BatchingSender::new(destination, requests.name(), message_bytes, metrics.clone());
        let own_url = return_path.queue().url();
        let workers = "the worker's queue";
        let pool = SenderPool::new(clients.sqs.clone(), own_url, message_bytes, workers, metrics.clone());
        let rules = Owners::rules(config.owner_allow.as_deref(), own_url, config.region.as_deref())?;
        let owners = Owners::new(rules, pool);
        let polls = PollSettings {
            queue_url: return_path.queue().url().into(),
            name: return_path.queue().name().into(),
            wait_time: config.wait_time,
            max_messages: config.max_messages,
            visibility_timeout: config.visibility_timeout,
            payloads: PayloadReader::new(payloads.clone()).by_topic(envelope::claim_check),
        };
        let (orphan_after, foreign) = (parts.request_timeout_max, return_path.foreign());
        let settings = PollerSettings { polls, orphan_after, foreign };
        let poller =
            Poller::new(clients.sqs, settings, envelope::decode, parts.inbox, parts.instance, metrics);
        Ok(Self {
            envelope: envelope.for_destination(requests.arn()),
            requests,
            reply: ReplyAddress::Sns(config.response_topic_arn.as_str().into()),
            response_topic_arn: config.response_topic_arn.into(),
            return_path,
            sender,
            owners,
            poller,
            limits: Limits { message_bytes },
            payloads,
        })
    }

    /// The URL of the queue that answers are read from: the configured one or the created one.
    pub fn reply_queue_url(&self) -> &str {
        self.return_path.queue().url()
    }

    /// Puts the response topic into initialize, where asyncmcp 0.2.1 reads it and where its main branch does.
    fn addressed(&self, message: Message) -> Result<Message, InvalidParams> {
        match message {
            Message::Request(request) if request.method() == "initialize" => {
                let arn = serde_json::Value::from(&*self.response_topic_arn).to_string();
                Ok(request.with_param("client_topic_arn", &arn)?.with_meta("clientTopicArn", &arn)?.into())
            }
            other => Ok(other),
        }
    }
}

#[async_trait]
impl Backend for SnsSqsBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    async fn check(&self) -> Result<(), BackendError> {
        match self.poller.check() {
            Some(polled) => polled?,
            None => drop(self.return_path.queue().message_bytes("check").await?),
        }
        self.return_path.check().await?;
        self.requests.check().await
    }

    #[tracing::instrument(name = "backend.send", level = "debug", skip_all, fields(messaging.system = "aws.sns", messaging.operation.type = "send"))]
    async fn send(&self, mut outbound: Outbound) -> Result<Sent, BackendError> {
        let deadline = outbound.context.deadline;
        outbound.message = self.addressed(outbound.message).map_err(|error| {
            BackendError::new(ErrorKind::Protocol, "send", "the parameters of initialize are no object")
                .with_source(error)
        })?;
        let message = self.envelope.seal(&outbound, &self.reply);
        let Outbound { remote, message: sealed, .. } = outbound;
        drop(sealed);
        self.return_path.ready(deadline).await?;
        let announced = remote.peer.as_deref().and_then(|peer| peer.payloads.as_deref());
        let (payloads, limit) = (self.payloads.as_ref(), self.limits.message_bytes);
        let message = offload(payloads, announced, message, limit, deadline).await?;
        self.owners.carry(&remote, message, deadline, &self.sender).await?;
        Ok(Sent::default())
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        tokio::join!(
            self.poller.run(shutdown.clone()),
            self.return_path.keep_alive(self.poller.health(), shutdown)
        );
        tokio::join!(self.sender.close(), self.owners.close());
        self.return_path.delete().await;
        Ok(())
    }

    async fn close(&self, remote: &Remote) -> Result<(), BackendError> {
        let Some(message) = self.envelope.seal_end(remote) else { return Ok(()) };
        let deadline = Instant::now() + END_TIMEOUT;
        match self.owners.carry(remote, message, deadline, &self.sender).await {
            // with its worker
            Err(error) if error.kind() == ErrorKind::SessionGone => Ok(()),
            told => told,
        }
    }
}
