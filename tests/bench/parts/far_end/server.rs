//! An MCP server on a queue: batches in, batches out, to a queue or a topic as each session asks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types;
use tokio::task::JoinSet;

use crate::parts::{
    message::Message,
    wire::{Destination, Entry, LONGEST_WAIT, Source},
};

/// Answers `initialize`, and every call with its text.
#[derive(Debug)]
pub(super) struct Server {
    requests: Source,
    queues: Destination,
    topics: Destination,
    /// Where each session's answers go.
    reply_to: Mutex<HashMap<String, String>>,
}

impl Server {
    pub(super) fn new(endpoint: &str, access_key: &str, requests: &str) -> Self {
        Self {
            requests: Source::new(endpoint, access_key, requests),
            queues: Destination::new(endpoint, access_key, ""),
            topics: Destination::new(endpoint, access_key, "arn:"),
            reply_to: Mutex::default(),
        }
    }

    /// Receives for ever; the answers to a batch and its deletion go out while the next one comes in.
    pub(super) async fn run(self: Arc<Self>) -> Result<()> {
        let mut answering = JoinSet::new();
        loop {
            let batch = self.requests.receive(LONGEST_WAIT).await?;
            while let Some(answered) = answering.try_join_next() {
                answered??;
            }
            if !batch.is_empty() {
                answering.spawn(Arc::clone(&self).answer_all(batch));
            }
        }
    }

    async fn answer_all(self: Arc<Self>, batch: Vec<types::Message>) -> Result<()> {
        let mut answers = BTreeMap::<String, Vec<Entry>>::new();
        for message in &batch {
            if let Some((to, answer)) = self.answer(message.body().unwrap_or_default())? {
                answers.entry(to).or_default().push(answer);
            }
        }
        let sends = answers.into_iter().map(async |(to, entries)| {
            let clients = if to.starts_with("arn:") { &self.topics } else { &self.queues };
            clients.named(&to).send(entries).await
        });
        let (sent, deleted) =
            tokio::join!(futures_util::future::try_join_all(sends), self.requests.delete(&batch));
        sent?;
        deleted
    }

    /// The answer to a message, and where it goes; none to a notification.
    fn answer(&self, body: &str) -> Result<Option<(String, Entry)>> {
        let message = Message::parse(body.as_bytes())?;
        let (Some(id), Some(answer)) = (message.id(), message.answer()) else { return Ok(None) };
        let (session, _) = id.rsplit_once(':').context("an id that no proxy made")?;
        let mut reply_to = self.reply_to.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(given) = message.reply_to() {
            reply_to.insert(session.to_owned(), given.to_owned());
        }
        let to = reply_to.get(session).context("a session that was not initialized")?.clone();
        let attributes = vec![
            ("MessageType", "jsonrpc".to_owned()),
            ("SessionId", session.to_owned()),
            ("RequestId", id.to_owned()),
        ];
        Ok(Some((to, Entry { body: answer, attributes })))
    }
}
