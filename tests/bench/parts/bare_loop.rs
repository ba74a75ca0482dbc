//! What the emulator and the far end can carry at most: the proxy's messages in the proxy's batches, with neither proxy nor HTTP
//! clients.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aws_sdk_sqs::{
    Client,
    types::{DeleteMessageBatchRequestEntry, Message, SendMessageBatchRequestEntry},
};
use serde::{Deserialize, Serialize};
use testkit::emulator::client_for;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use super::{
    asked::Asked,
    wire::{self, LARGEST_BATCH, LONGEST_WAIT},
};
use crate::part::say;

/// As long as a route key.
const SESSION: &str = "bareloopbareloopbarelo.bareloopbareloopbarelo";

/// How many receives are in flight: with one alone the processors would wait for it.
const RECEIVES: usize = 2;

/// What it is asked: to keep calls in flight for a while. Answered with [`Done`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) in_flight: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The answers that count, and those of the warm-up.
    pub(crate) made: u64,
    pub(crate) per_second: f64,
}

#[derive(Debug)]
struct BareLoop {
    client: Client,
    requests: String,
    replies: String,
}

pub(super) async fn run(endpoint: &str, requests: &str) -> Result<()> {
    let client = client_for(endpoint, "bare-loop");
    let replies = client.create_queue().queue_name("bare-loop-replies").send().await?;
    let replies = replies.queue_url.context("no queue URL")?;
    let bare = Arc::new(BareLoop { client, requests: requests.to_owned(), replies });
    bare.initialize().await?;
    say(&())?;
    let mut asked = Asked::listen();
    while let Some(request) = asked.next().await? {
        say(&Arc::clone(&bare).measure(request).await?)?;
    }
    Ok(())
}

impl BareLoop {
    async fn initialize(&self) -> Result<()> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"{SESSION}:0","method":"initialize","params":{{"response_queue_url":"{}"}}}}"#,
            self.replies
        );
        self.send(vec![wire::entry(0, body, &attributes("initialize", ""))?]).await?;
        let answers = self.receive(LONGEST_WAIT).await?;
        ensure!(answers.len() == 1, "initialize was not answered");
        self.delete(&answers).await
    }

    async fn measure(self: Arc<Self>, request: Request) -> Result<Done> {
        let Request { in_flight, warm_up, duration } = request;
        let start = Instant::now() + warm_up;
        let end = start + duration;
        let places = Arc::new(Semaphore::new(in_flight));
        let mut sending = JoinSet::new();
        sending.spawn(Arc::clone(&self).send_all(Arc::clone(&places)));
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
            let answers = self.receive(LONGEST_WAIT).await?;
            places.add_permits(answers.len());
            made += answers.len() as u64;
            if (start..end).contains(&Instant::now()) {
                counted += u32::try_from(answers.len())?;
            }
            let bare = Arc::clone(&self);
            deleting.spawn(async move { bare.delete(&answers).await });
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
    async fn send_all(self: Arc<Self>, places: Arc<Semaphore>) -> Result<()> {
        let mut sending = JoinSet::new();
        let mut number = 0_u64;
        loop {
            places.acquire_many(LARGEST_BATCH.unsigned_abs()).await?.forget();
            let mut entries = Vec::new();
            for index in 0..LARGEST_BATCH.unsigned_abs() {
                number += 1;
                let id = format!("{SESSION}:{number}");
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{{"name":"echo","arguments":{{"text":"the text of a call of the tool echo, number {number:020}"}}}}}}"#
                );
                entries.push(wire::entry(usize::try_from(index)?, body, &attributes("tools/call", &id))?);
            }
            let bare = Arc::clone(&self);
            sending.spawn(async move { bare.send(entries).await });
            while let Some(sent) = sending.try_join_next() {
                sent??;
            }
        }
    }

    /// Takes what is still on its way, so that the next measurement begins with empty queues.
    async fn clear(&self) -> Result<()> {
        loop {
            let left = self.receive(1).await?;
            if left.is_empty() {
                break;
            }
            self.delete(&left).await?;
        }
        Ok(())
    }

    async fn send(&self, entries: Vec<SendMessageBatchRequestEntry>) -> Result<()> {
        let sent = self
            .client
            .send_message_batch()
            .queue_url(&self.requests)
            .set_entries(Some(entries))
            .send()
            .await?;
        ensure!(sent.failed().is_empty(), "a request was refused");
        Ok(())
    }

    async fn receive(&self, wait: i32) -> Result<Vec<Message>> {
        let receive = self.client.receive_message().queue_url(&self.replies);
        let receive = receive.max_number_of_messages(LARGEST_BATCH).wait_time_seconds(wait);
        Ok(receive.message_attribute_names("All").send().await?.messages.unwrap_or_default())
    }

    async fn delete(&self, messages: &[Message]) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut entries = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            entries.push(entry.receipt_handle(message.receipt_handle().unwrap_or_default()).build()?);
        }
        self.client.delete_message_batch().queue_url(&self.replies).set_entries(Some(entries)).send().await?;
        Ok(())
    }
}

/// The attributes that the proxy puts on a request.
fn attributes<'text>(method: &'text str, id: &'text str) -> [(&'text str, &'text str); 6] {
    [
        ("MessageType", "jsonrpc"),
        ("RequestId", if id.is_empty() { SESSION } else { id }),
        ("Method", method),
        ("SessionId", SESSION),
        ("ClientId", "bare-loop"),
        ("ProtocolVersion", "2025-11-25"),
    ]
}
