//! Senders to queues that peers name: one a queue, made when it is first written to.

mod senders;

use aws_sdk_sqs::{Client, config::Region};
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
};
use tokio::time::Instant;

pub use self::senders::Senders;
use crate::{
    attributes::OutgoingMessage,
    client::region_of,
    queue::DEFAULT_MESSAGE_BYTES,
    sender::{BatchingSender, QueueDestination},
};

/// Sends to queues of others.
#[derive(Debug)]
pub struct SenderPool {
    client: Client,
    /// What errors call a queue, before its name, such as `the reply queue`.
    role: &'static str,
    /// Whether what is sent to are AWS's own queues: then nothing may pretend to be one.
    on_aws: bool,
    limit: usize,
    metrics: BackendMetrics,
    senders: Senders,
}

impl SenderPool {
    /// A pool of senders to queues that are where the one at `own_url` is, which takes `message_bytes` a message. `role` is what errors
    /// call them. The others are taken to take as much, and 256 KiB at least: their attributes may not be ours to read, and what is
    /// larger than one takes is refused by SQS itself.
    pub fn new(
        client: Client,
        own_url: &str,
        message_bytes: usize,
        role: &'static str,
        metrics: BackendMetrics,
    ) -> Self {
        let (on_aws, limit) = (region_of(own_url).is_some(), message_bytes.max(DEFAULT_MESSAGE_BYTES));
        Self { client, role, on_aws, limit, metrics, senders: Senders::default() }
    }

    /// The largest message that is tried.
    pub fn message_bytes(&self) -> usize {
        self.limit
    }

    /// Whether this is where the pool's queues are: nothing else may pretend to be one of AWS.
    pub fn reaches(&self, url: &str) -> bool {
        !self.on_aws || region_of(url).is_some()
    }

    /// Sends a message to the queue at `url`; otherwise as [`BatchingSender::send`].
    ///
    /// # Errors
    /// `Config` when there is no such queue; `TooLarge` also when SQS says so.
    pub async fn send(
        &self,
        url: &str,
        message: OutgoingMessage,
        deadline: Instant,
    ) -> Result<(), BackendError> {
        if !self.reaches(url) {
            let text = format!("{} {} is not a queue of AWS, where this one is", self.role, name_of(url));
            return Err(BackendError::new(ErrorKind::Config, "send", text));
        }
        let result = self.sender(url).send(message, deadline).await;
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Config) {
            self.senders.forget(url);
        }
        result
    }

    /// Resolves once nothing is on its way. Nothing may be sent any more.
    pub async fn close(&self) {
        self.senders.close().await;
    }

    fn sender(&self, url: &str) -> BatchingSender {
        self.senders.get_or_make(url, || {
            let destination = QueueDestination::new(self.client_for(url), url);
            let target = format!("{} {}", self.role, name_of(url));
            BatchingSender::new(destination, &target, self.limit, self.metrics.clone())
        })
    }

    /// A client speaks with one region alone.
    fn client_for(&self, url: &str) -> Client {
        let config = self.client.config();
        match region_of(url) {
            Some(region) if config.region().map(AsRef::as_ref) != Some(region) => {
                Client::from_conf(config.to_builder().region(Region::new(region.to_owned())).build())
            }
            _ => self.client.clone(),
        }
    }
}

fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_sqs::config::{BehaviorVersion, Config};
    use prometheus_client::registry::Registry;

    use super::*;

    const OWN: &str = "https://sqs.eu-west-1.amazonaws.com/1/requests";

    fn pool(own_url: &str) -> SenderPool {
        let config = Config::builder().behavior_version(BehaviorVersion::latest());
        let client = Client::from_conf(config.region(Region::new("eu-west-1")).build());
        let metrics = BackendMetrics::for_intake("sqs", &mut Registry::default());
        SenderPool::new(client, own_url, 1024, "the reply queue", metrics)
    }

    #[test]
    fn a_queue_of_another_region_is_spoken_with_there() {
        let pool = pool(OWN);
        let region = |url| pool.client_for(url).config().region().map(ToString::to_string);
        assert_eq!(region("https://sqs.us-east-1.amazonaws.com/1/a").as_deref(), Some("us-east-1"));
        assert_eq!(region("https://sqs.eu-west-1.amazonaws.com/1/a").as_deref(), Some("eu-west-1"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_pretends_to_be_a_queue_of_aws_is_not_sent_to() {
        let message = OutgoingMessage { body: "{}".to_owned(), attributes: Vec::new(), group: None };
        let soon = Instant::now() + Duration::from_secs(1);
        let error = pool(OWN).send("http://127.0.0.1/2/theirs", message, soon).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}
