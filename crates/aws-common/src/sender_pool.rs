//! Senders to queues that peers name: one a queue, made when it is first written to.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_sdk_sqs::{Client, config::Region};
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
};
use tokio::time::Instant;

use crate::{
    attributes::OutgoingMessage,
    client::region_of,
    sender::{BatchingSender, QueueDestination},
};

/// The most queues that a sender is kept for.
const KEPT: usize = 4096;

/// How long a sender is kept after its last message.
const IDLE: Duration = Duration::from_mins(10);

/// What a queue of others is taken to take at least (AWS: 256 KiB until August 2025, since then 1 MiB): its attributes may not be ours
/// to read, and what is larger than it takes is refused by SQS itself.
const LEAST_BYTES: usize = 262_144;

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
    senders: Mutex<HashMap<Box<str>, Kept>>,
}

#[derive(Debug)]
struct Kept {
    sender: BatchingSender,
    used: Instant,
}

impl SenderPool {
    /// A pool of senders to queues that are where the one at `own_url` is, which takes `message_bytes` a message. `role` is what errors
    /// call them.
    pub fn new(
        client: Client,
        own_url: &str,
        message_bytes: usize,
        role: &'static str,
        metrics: BackendMetrics,
    ) -> Self {
        let (on_aws, limit) = (region_of(own_url).is_some(), message_bytes.max(LEAST_BYTES));
        Self { client, role, on_aws, limit, metrics, senders: Mutex::default() }
    }

    /// The largest message that is tried.
    pub fn message_bytes(&self) -> usize {
        self.limit
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
        if self.on_aws && region_of(url).is_none() {
            let text = format!("{} {} is not a queue of AWS, where this one is", self.role, name_of(url));
            return Err(BackendError::new(ErrorKind::Config, "send", text));
        }
        let result = self.sender(url).send(message, deadline).await;
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Config) {
            self.lock().remove(url);
        }
        result
    }

    /// Resolves once nothing is on its way. Nothing may be sent any more.
    pub async fn close(&self) {
        let senders: Vec<_> = self.lock().drain().map(|(_, kept)| kept.sender).collect();
        for sender in senders {
            sender.close().await;
        }
    }

    fn sender(&self, url: &str) -> BatchingSender {
        let now = Instant::now();
        let mut senders = self.lock();
        if let Some(kept) = senders.get_mut(url) {
            kept.used = now;
            return kept.sender.clone();
        }
        if senders.len() >= KEPT {
            make_room(&mut senders, now);
        }
        let destination = QueueDestination::new(self.client_for(url), url);
        let target = format!("{} {}", self.role, name_of(url));
        let sender = BatchingSender::new(destination, &target, self.limit, self.metrics.clone());
        senders.insert(url.into(), Kept { sender: sender.clone(), used: now });
        sender
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Kept>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets those that were idle for long, else the one that was idle longest. What they still carry arrives all the same.
fn make_room(senders: &mut HashMap<Box<str>, Kept>, now: Instant) {
    senders.retain(|_, kept| now.duration_since(kept.used) < IDLE);
    if senders.len() < KEPT {
        return;
    }
    let oldest = senders.iter().min_by_key(|(_, kept)| kept.used).map(|(url, _)| url.clone());
    if let Some(oldest) = oldest {
        senders.remove(&oldest);
    }
}

fn name_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
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

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_are_kept_and_idle_ones_go_first() {
        let pool = pool(OWN);
        for number in 0..KEPT {
            pool.sender(&format!("https://q/1/{number}"));
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        pool.sender("https://q/1/0");
        pool.sender("https://q/1/new");
        assert_eq!(pool.lock().len(), KEPT);
        assert!(pool.lock().contains_key("https://q/1/0"));
        tokio::time::advance(IDLE).await;
        pool.sender("https://q/1/newer");
        assert_eq!(pool.lock().len(), 1);
    }
}
