//! The backend: requests to one queue, answers from another.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_common::{
    BatchingSender, Envelope, ForeignPolicy, Poller, PollerSettings, Queue, QueueDestination, QueueMaker,
    QueuePlan, ReplyAddress, attributes,
    client::{self, ClientSettings},
};
use aws_sdk_sqs::Client;
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    backend::{Backend, Inbox, Limits, Outbound, Remote, Sent},
    error::{BackendError, ErrorKind},
    id::InstanceId,
    message::{InvalidParams, Message},
};
use tokio_util::sync::CancellationToken;

use crate::{config::SqsConfig, queues::Queues, reply_queue::ReplyQueue};

/// Its name in the configuration and in metrics.
const NAME: &str = "sqs";

/// How much longer than its wait a poll may take before readiness doubts it.
const POLL_MARGIN: Duration = Duration::from_secs(20);

/// What a backend is built with, beside its configuration.
#[derive(Debug)]
pub struct SqsParts<'registry> {
    /// Where received messages are handed over.
    pub inbox: Arc<dyn Inbox>,
    /// The process.
    pub instance: InstanceId,
    /// The longest that a request may take (`request_timeout_max`): older messages of other instances are deleted, and a created
    /// reply queue keeps messages for an hour more.
    pub request_timeout_max: Duration,
    /// Where the metrics are registered; the names are complete, so it has no prefix of its own.
    pub registry: &'registry mut Registry,
    /// A client of the caller's own, in the place of one made from the configuration and the environment. Its retries are turned
    /// off, since the backend retries itself what certainly sent nothing; without a timeout it gets one of 20 s a call.
    pub client: Option<Client>,
}

/// The proxy's end of SQS.
///
/// Keeps nothing for a session. An asyncmcp server cannot be told that a session has ended and keeps it for ever.
#[derive(Debug)]
pub struct SqsBackend {
    queues: Queues,
    reply_queue: ReplyQueue,
    envelope: Envelope,
    sender: BatchingSender,
    poller: Poller,
    longest_poll: Duration,
    limits: Limits,
}

impl SqsBackend {
    /// Finds both queues, or creates the reply queue where none is configured, and checks that they may be used.
    ///
    /// A created queue is deleted at the end of [`Backend::run`].
    ///
    /// # Errors
    /// `Config` and `Denied` name the setting, or the queue and the missing permission; `Unavailable` when SQS cannot be reached.
    pub async fn connect(config: SqsConfig, parts: SqsParts<'_>) -> Result<Self, BackendError> {
        let problems = config.validate();
        if !problems.is_empty() {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            return Err(BackendError::new(ErrorKind::Config, "start", problems.join("; ")));
        }
        let client = client_of(&config, parts.client.as_ref()).await?;
        let metrics = BackendMetrics::new(NAME, parts.registry);
        let requests = Queue::new(&client, &config.read_queue_url, "request queue", &metrics);
        let message_bytes = requests.message_bytes("start").await?;
        requests.check_sends().await?;
        let reply_queue = if let Some(url) = &config.response_queue_url {
            ReplyQueue::given(Queue::new(&client, url, "reply queue", &metrics)).await?
        } else {
            let plan = QueuePlan {
                prefix: config.response_queue_prefix.as_str().into(),
                instance: parts.instance.clone(),
                request_timeout_max: parts.request_timeout_max,
                dependents: None,
            };
            ReplyQueue::create(&QueueMaker::new(client.clone(), plan, metrics.clone())).await?
        };
        Self::with_queues(&config, parts, &client, metrics, requests, reply_queue, message_bytes).await
    }

    async fn with_queues(
        config: &SqsConfig,
        parts: SqsParts<'_>,
        client: &Client,
        metrics: BackendMetrics,
        requests: Queue,
        reply_queue: ReplyQueue,
        message_bytes: usize,
    ) -> Result<Self, BackendError> {
        let default_client_id = || format!("mcp-proxy-{}", parts.instance.as_str());
        let client_id = config.client_id.clone().unwrap_or_else(default_client_id);
        let replies = reply_queue.queue();
        let address = ReplyAddress::Sqs(replies.url().into());
        let envelope = match Envelope::new(&client_id, address, &config.message_attributes) {
            Ok(envelope) => envelope,
            Err(error) => {
                reply_queue.delete().await;
                return Err(error);
            }
        };
        let sender = BatchingSender::new(
            QueueDestination::new(client.clone(), requests.url()),
            requests.name(),
            message_bytes,
            metrics.clone(),
        );
        let settings = PollerSettings {
            queue_url: replies.url().into(),
            name: replies.name().into(),
            wait_time: config.wait_time,
            max_messages: config.max_messages,
            visibility_timeout: config.visibility_timeout,
            orphan_after: parts.request_timeout_max,
            foreign: ForeignPolicy::GiveBack,
        };
        let poller =
            Poller::new(client.clone(), settings, attributes::decode, parts.inbox, parts.instance, metrics);
        Ok(Self {
            queues: Queues::new(requests, replies.clone()),
            reply_queue,
            envelope,
            sender,
            poller,
            longest_poll: config.wait_time + POLL_MARGIN,
            limits: Limits { message_bytes },
        })
    }

    /// The URL of the queue that answers are read from: the configured one or the created one.
    pub fn reply_queue_url(&self) -> &str {
        self.reply_queue.queue().url()
    }

    /// Puts the reply address into initialize, where asyncmcp 0.2.1 reads it and where its main branch does.
    fn addressed(&self, message: Message) -> Result<Message, InvalidParams> {
        match message {
            Message::Request(request) if request.method() == "initialize" => {
                let url = serde_json::Value::from(self.reply_queue_url()).to_string();
                Ok(request
                    .with_param("response_queue_url", &url)?
                    .with_meta("responseQueueUrl", &url)?
                    .into())
            }
            other => Ok(other),
        }
    }
}

#[async_trait]
impl Backend for SqsBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    async fn check(&self) -> Result<(), BackendError> {
        match self.poller.health().check(self.longest_poll) {
            Some(polled) => polled?,
            None => self.queues.check_replies().await?,
        }
        self.queues.check_requests().await
    }

    #[tracing::instrument(name = "backend.send", level = "debug", skip_all, fields(messaging.system = "aws_sqs", messaging.operation.type = "send"))]
    async fn send(&self, mut outbound: Outbound) -> Result<Sent, BackendError> {
        let deadline = outbound.context.deadline;
        outbound.message = self.addressed(outbound.message).map_err(|error| {
            BackendError::new(ErrorKind::Protocol, "send", "the parameters of initialize are no object")
                .with_source(error)
        })?;
        let message = self.envelope.seal(&outbound);
        drop(outbound);
        self.sender.send(message, deadline).await?;
        Ok(Sent::default())
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        tokio::join!(
            self.poller.run(shutdown.clone()),
            self.reply_queue.keep_alive(self.poller.health(), shutdown)
        );
        self.sender.close().await;
        self.reply_queue.delete().await;
        Ok(())
    }

    async fn close(&self, _remote: &Remote) -> Result<(), BackendError> {
        Ok(())
    }
}

/// The caller's client, or one as the configuration and the environment say.
async fn client_of(config: &SqsConfig, own: Option<&Client>) -> Result<Client, BackendError> {
    if let Some(own) = own {
        return Ok(client::without_retries(own));
    }
    let settings =
        ClientSettings { endpoint_url: config.endpoint_url.clone(), region: config.region.clone() };
    Ok(Client::new(&client::load(&settings, &config.read_queue_url).await?))
}
