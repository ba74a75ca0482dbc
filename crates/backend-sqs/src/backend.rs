//! The backend: requests to one queue, answers from another.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_common::{
    BatchingSender, Envelope, LargePayloads, Owners, Queue, QueueDestination, QueueMaker, QueuePlan,
    SenderPool, client, offload,
};
use aws_sdk_sqs::Client;
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
    config::{ResponseQueue, SqsConfig},
    replies::{PollPlan, Replies},
    requests::Requests,
};

/// Its name in the configuration and in metrics.
pub(crate) const NAME: &str = "sqs";

/// How long it is tried to tell a worker that a session has ended.
const END_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// Large payloads over a caller's own client of S3, in the place of those that the configuration says.
    pub large_payloads: Option<LargePayloads>,
}

/// The proxy's end of SQS.
///
/// Keeps nothing for a session but its reply queue, where each has its own. An asyncmcp server cannot be told that a session has
/// ended and keeps it for ever; a worker is told. What goes to a worker that named a queue of its own goes there directly, as far as
/// `owner_allow` lets it.
#[derive(Debug)]
pub struct SqsBackend {
    requests: Requests,
    replies: Replies,
    envelope: Envelope,
    sender: BatchingSender,
    owners: Owners,
    limits: Limits,
    payloads: Option<LargePayloads>,
}

impl SqsBackend {
    /// Finds both queues, or creates the reply queue where none is configured, and checks that they may be used.
    ///
    /// A created queue is deleted at the end of [`Backend::run`]. It is created last of all, so a start that fails leaves none behind;
    /// one that is dropped may, and then other proxies reap it.
    ///
    /// # Errors
    /// `Config` and `Denied` name the setting, or the queue and the missing permission; `Unavailable` when SQS cannot be reached.
    pub async fn connect(config: SqsConfig, parts: SqsParts<'_>) -> Result<Self, BackendError> {
        refuse_problems("start", &config.validate())?;
        let client = match &parts.client {
            Some(own) => client::without_retries(own),
            None => Client::new(&client::load(&config.client_settings(), &config.read_queue_url).await?),
        };
        let metrics = BackendMetrics::new(NAME, parts.registry);
        let default_client_id = || format!("mcp-proxy-{}", parts.instance.as_str());
        let client_id = config.client_id.clone().unwrap_or_else(default_client_id);
        let envelope =
            Envelope::new(&client_id, &config.message_attributes)?.for_destination(&config.read_queue_url);
        let payloads = LargePayloads::at_start(
            parts.large_payloads.clone(),
            config.large_payloads.as_ref(),
            &config.client_settings(),
            &config.read_queue_url,
        )
        .await?;
        let envelope = envelope.announcing(payloads.as_ref());
        let queue = Queue::new(&client, &config.read_queue_url, "request queue", &metrics);
        let message_bytes = queue.message_bytes("start").await?;
        queue.check_sends().await?;
        let destination = QueueDestination::new(client.clone(), queue.url());
        let sender = BatchingSender::new(destination, queue.name(), message_bytes, metrics.clone());
        let workers = "the worker's queue";
        let pool = SenderPool::new(client.clone(), queue.url(), message_bytes, workers, metrics.clone());
        let allow = config.owner_allow.as_deref();
        let rules = Owners::rules(allow, &config.read_queue_url, config.region.as_deref())?;
        let owners = Owners::new(rules, pool);
        let plan = PollPlan::new(&config, &client, &metrics, &parts, payloads.clone());
        let maker = || {
            let plan = QueuePlan {
                prefix: config.response_queue_prefix.as_str().into(),
                instance: parts.instance.clone(),
                request_timeout_max: parts.request_timeout_max,
                dependents: None,
            };
            QueueMaker::new(client.clone(), plan, metrics.clone())
        };
        let replies = match (&config.response_queue_url, config.response_queue) {
            (Some(url), _) => Replies::given(url, &plan).await?,
            (None, ResponseQueue::Shared) => Replies::created(maker(), &plan).await?,
            (None, ResponseQueue::PerSession) => Replies::per_session(maker(), plan).await?,
        };
        Ok(Self {
            requests: Requests::new(queue),
            replies,
            envelope,
            sender,
            owners,
            limits: Limits { message_bytes },
            payloads,
        })
    }

    /// The URL of the queue that answers are read from: the configured one or the created one; none where each session has its own.
    pub fn reply_queue_url(&self) -> Option<&str> {
        self.replies.url()
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
        self.replies.check().await?;
        self.requests.check().await
    }

    #[tracing::instrument(name = "backend.send", level = "debug", skip_all, fields(messaging.system = "aws_sqs", messaging.operation.type = "send"))]
    async fn send(&self, mut outbound: Outbound) -> Result<Sent, BackendError> {
        let deadline = outbound.context.deadline;
        let route = &outbound.remote.route;
        let reply = if outbound.message.method() == Some("initialize") {
            let reply = self.replies.begin(route, deadline).await?;
            outbound.message = addressed(outbound.message, &reply).map_err(|error| {
                BackendError::new(ErrorKind::Protocol, "send", "the parameters of initialize are no object")
                    .with_source(error)
            })?;
            reply
        } else {
            self.replies.of(route)?
        };
        let message = self.envelope.seal(&outbound, &ReplyAddress::Sqs(reply));
        let Outbound { remote, message: sealed, .. } = outbound;
        drop(sealed);
        let announced = remote.peer.as_deref().and_then(|peer| peer.payloads.as_deref());
        let (payloads, limit) = (self.payloads.as_ref(), self.limits.message_bytes);
        let message = offload(payloads, announced, message, limit, deadline).await?;
        self.owners.carry(&remote, message, deadline, &self.sender).await?;
        Ok(Sent::default())
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        self.replies.run(shutdown).await;
        tokio::join!(self.sender.close(), self.owners.close());
        self.replies.delete().await;
        Ok(())
    }

    async fn close(&self, remote: &Remote) -> Result<(), BackendError> {
        let told = match self.envelope.seal_end(remote) {
            Some(message) => {
                let deadline = Instant::now() + END_TIMEOUT;
                self.owners.carry(remote, message, deadline, &self.sender).await
            }
            None => Ok(()),
        };
        self.replies.close(&remote.route).await;
        match told {
            // it ended with its worker
            Err(error) if error.kind() == ErrorKind::SessionGone => Ok(()),
            told => told,
        }
    }
}

/// Puts the reply address into initialize, where asyncmcp 0.2.1 reads it and where its main branch does.
fn addressed(message: Message, reply: &str) -> Result<Message, InvalidParams> {
    match message {
        Message::Request(request) => {
            let url = serde_json::Value::from(reply).to_string();
            Ok(request.with_param("response_queue_url", &url)?.with_meta("responseQueueUrl", &url)?.into())
        }
        other => Ok(other),
    }
}
