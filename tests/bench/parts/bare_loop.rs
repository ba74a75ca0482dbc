//! What the emulator and the far end can carry at most: the proxy's messages in the proxy's batches, with neither proxy nor HTTP
//! clients. In front of a worker: what the worker can carry.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Result, ensure};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use super::{
    asked::Asked,
    in_flight::{Done, Request},
    requests::{INITIALIZED, Kind, SESSION_COUNT, initialize, session},
    wire::{Destination, Entry, LARGEST_BATCH, LONGEST_WAIT, Source},
};
use crate::part::say;

/// The access key that it signs with.
const KEY: &str = "bare-loop";

/// How many receives are in flight: with one alone the processors would wait for it.
const RECEIVES: usize = 2;

#[derive(Debug)]
struct BareLoop {
    requests: Destination,
    replies: Source,
    /// The number of the next request: an id that comes twice would be the same call.
    sent: AtomicU64,
}

/// Sends to the queue or topic `to`, is answered by way of `reply_to`, and reads `replies`.
pub(super) async fn run(endpoint: &str, to: &str, reply_to: &str, replies: &str) -> Result<()> {
    let bare = Arc::new(BareLoop {
        requests: Destination::new(endpoint, KEY, to),
        replies: Source::new(endpoint, KEY, replies),
        sent: AtomicU64::new(1),
    });
    for number in 0..SESSION_COUNT {
        bare.open(&session(number), reply_to).await?;
    }
    say(&())?;
    let mut asked = Asked::listen();
    while let Some(request) = asked.next().await? {
        say(&Arc::clone(&bare).measure(request).await?)?;
    }
    Ok(())
}

impl BareLoop {
    async fn open(&self, session: &str, reply_to: &str) -> Result<()> {
        let parameter = if reply_to.starts_with("arn:") { "client_topic_arn" } else { "response_queue_url" };
        let id = format!("{session}:0");
        let body = initialize(&id, &format!(r#""{parameter}":"{reply_to}""#));
        self.requests
            .send(vec![Entry { body, attributes: attributes("initialize", session, Some(&id)) }])
            .await?;
        let answers = self.replies.receive(LONGEST_WAIT).await?;
        ensure!(answers.len() == 1, "initialize was not answered");
        self.replies.delete(&answers).await?;
        let method = "notifications/initialized";
        let attributes = attributes(method, session, None);
        self.requests.send(vec![Entry { body: INITIALIZED.to_owned(), attributes }]).await
    }

    async fn measure(self: Arc<Self>, request: Request) -> Result<Done> {
        let Request { in_flight, kind, warm_up, duration } = request;
        let start = Instant::now() + warm_up;
        let end = start + duration;
        let places = Arc::new(Semaphore::new(in_flight));
        let mut sending = JoinSet::new();
        sending.spawn(Arc::clone(&self).send_all(Arc::clone(&places), kind, in_flight));
        let receivers = (0..RECEIVES).map(|_| Arc::clone(&self).receive_until(start, end, &places));
        let received = futures_util::future::try_join_all(receivers).await?;
        sending.shutdown().await;
        self.clear().await?;
        let made = received.iter().map(|(made, _)| made).sum();
        let counted: u32 = received.iter().map(|(_, counted)| counted).sum();
        Ok(Done { made, per_second: f64::from(counted) / duration.as_secs_f64() })
    }

    /// Receives and deletes until `end`. Returns how many answers came in all, and how many from `start` on.
    async fn receive_until(
        self: Arc<Self>,
        start: Instant,
        end: Instant,
        places: &Semaphore,
    ) -> Result<(u64, u32)> {
        let (mut made, mut counted, mut deleting) = (0, 0_u32, JoinSet::new());
        while Instant::now() < end {
            let answers = self.replies.receive(LONGEST_WAIT).await?;
            places.add_permits(answers.len());
            made += answers.len() as u64;
            if (start..end).contains(&Instant::now()) {
                counted += u32::try_from(answers.len())?;
            }
            let bare = Arc::clone(&self);
            deleting.spawn(async move { bare.replies.delete(&answers).await });
            while let Some(deleted) = deleting.try_join_next() {
                deleted??;
            }
        }
        while let Some(deleted) = deleting.join_next().await {
            deleted??;
        }
        Ok((made, counted))
    }

    /// Sends a batch whenever there are places for one.
    async fn send_all(self: Arc<Self>, places: Arc<Semaphore>, kind: Kind, in_flight: usize) -> Result<()> {
        let batch = u32::try_from(in_flight)?.min(LARGEST_BATCH.unsigned_abs());
        let mut sending = JoinSet::new();
        loop {
            places.acquire_many(batch).await?.forget();
            let mut entries = Vec::new();
            for _ in 0..batch {
                let number = self.sent.fetch_add(1, Ordering::Relaxed);
                let session = session(usize::try_from(number)?);
                let id = format!("{session}:{number}");
                let body = kind.request(&id, number);
                entries.push(Entry { body, attributes: attributes(kind.method(), &session, Some(&id)) });
            }
            let bare = Arc::clone(&self);
            sending.spawn(async move { bare.requests.send(entries).await });
            while let Some(sent) = sending.try_join_next() {
                sent??;
            }
        }
    }

    /// Takes what is still on its way, so that the next measurement begins with empty queues.
    async fn clear(&self) -> Result<()> {
        loop {
            let left = self.replies.receive(1).await?;
            if left.is_empty() {
                break;
            }
            self.replies.delete(&left).await?;
        }
        Ok(())
    }
}

/// The attributes that the proxy puts on a message; only a request has an id.
fn attributes(method: &str, session: &str, id: Option<&str>) -> Vec<(&'static str, String)> {
    let attributes = [
        ("MessageType", Some("jsonrpc")),
        ("RequestId", id),
        ("Method", Some(method)),
        ("SessionId", Some(session)),
        ("ClientId", Some(KEY)),
        ("ProtocolVersion", Some("2025-11-25")),
    ];
    attributes.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))).collect()
}
