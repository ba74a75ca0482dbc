//! What goes back to clients: to the topics that they name, or to queues.

use std::time::Duration;

use aws_common::{
    Backoff, BatchingSender, LargePayloads, SenderPool, Senders, attributes::seal_reply, offload,
};
use proxy_core::{
    BackendMetrics, ReplyAddress,
    error::{BackendError, ErrorKind},
    id::{RemoteSession, WireId},
    intake::{Reply, ReplyTo},
    message::Message,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    clients::Clients,
    topic::{DEFAULT_MESSAGE_BYTES, Topic, TopicDestination},
};

/// The delay before a topic is asked a second time how much it takes, and the longest between two.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Writes to the addresses that clients name. Whether it may, others decide.
#[derive(Debug)]
pub(super) struct Replies {
    clients: Clients,
    topics: Senders,
    queues: SenderPool,
    payloads: Option<LargePayloads>,
    metrics: BackendMetrics,
}

impl Replies {
    /// Writes to topics, and to queues where the one at `queue_url` is.
    pub(super) fn new(
        clients: Clients,
        queue_url: &str,
        payloads: Option<LargePayloads>,
        metrics: BackendMetrics,
    ) -> Self {
        let (client, bytes) = (clients.sqs.clone(), DEFAULT_MESSAGE_BYTES);
        let queues = SenderPool::new(client, queue_url, bytes, "the reply queue", metrics.clone());
        Self { clients, topics: Senders::default(), queues, payloads, metrics }
    }

    /// Sends a reply where its request, else its session, wants it.
    pub(super) async fn send(&self, mut reply: Reply) -> Result<(), BackendError> {
        if reply.session.is_none() {
            reply.session = session_of(&reply.message);
        }
        let (address, deadline) = (address_of(&reply)?.clone(), reply.deadline);
        let payloads = self.payloads.as_ref();
        match address {
            ReplyAddress::Sns(arn) => {
                let message = seal_reply(&reply, &arn, payloads);
                let announced = reply.payloads;
                drop(reply.message);
                let topic = self.topic(&arn, deadline).await?;
                let limit = topic.message_bytes();
                let message = offload(payloads, announced.as_deref(), message, limit, deadline).await?;
                let sent = topic.send(message, deadline).await;
                if sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::Config) {
                    self.topics.forget(&arn);
                }
                sent
            }
            ReplyAddress::Sqs(url) => {
                let message = seal_reply(&reply, &url, payloads);
                let announced = reply.payloads;
                drop(reply.message);
                let limit = self.queues.message_bytes();
                let message = offload(payloads, announced.as_deref(), message, limit, deadline).await?;
                self.queues.send(&url, message, deadline).await
            }
            ReplyAddress::Url(_) => Err(nowhere()),
        }
    }

    /// Resolves once nothing is on its way. Nothing may be sent any more.
    pub(super) async fn close(&self) {
        tokio::join!(self.topics.close(), self.queues.close());
    }

    /// The sender to a topic, in whose batches all replies there share.
    async fn topic(&self, arn: &str, deadline: Instant) -> Result<BatchingSender, BackendError> {
        if let Some(sender) = self.topics.get(arn) {
            return Ok(sender);
        }
        let topic = Topic::new(&self.clients.sns_for(arn), arn, "response topic", &self.metrics);
        let limit = timeout_at(deadline, message_bytes(&topic, deadline)).await;
        let limit = limit.map_err(|_| {
            let message = format!("{} did not answer in time", topic.name());
            BackendError::new(ErrorKind::Unavailable, "send", message)
        })??;
        let made =
            || BatchingSender::new(TopicDestination::new(&topic), topic.name(), limit, self.metrics.clone());
        Ok(self.topics.get_or_make(arn, made))
    }
}

/// Where the request that a reply answers, or belongs to, wants it; else where its session does.
fn address_of(reply: &Reply) -> Result<&ReplyAddress, BackendError> {
    match reply.request.as_ref().unwrap_or(&reply.to) {
        ReplyTo::Address(address) => Ok(address),
        ReplyTo::Response(_) => Err(nowhere()),
    }
}

fn nowhere() -> BackendError {
    let message = "answers go to topics and queues, and the client named neither";
    BackendError::new(ErrorKind::Config, "send", message)
}

/// What the topic takes: as it says, or as those do that do not say where it is not ours to look at.
async fn message_bytes(topic: &Topic, deadline: Instant) -> Result<usize, BackendError> {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        let error = match topic.message_bytes("send").await {
            Err(error) if error.kind() == ErrorKind::Denied => return Ok(DEFAULT_MESSAGE_BYTES),
            Err(error) => error,
            found => return found,
        };
        let retry_at = Instant::now() + backoff.next_delay();
        if !error.is_retryable() || retry_at >= deadline {
            return Err(error);
        }
        sleep_until(retry_at).await;
    }
}

/// The session of an answer to our own proxy, whose ids name it, where none was opened: its subscription brings it nothing else.
fn session_of(message: &Message) -> Option<RemoteSession> {
    let Message::Response(_) = message else { return None };
    let wire = WireId::parse(message.id()?.as_string()?).ok()?;
    RemoteSession::parse(wire.route().as_str()).ok()
}
