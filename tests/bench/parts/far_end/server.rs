//! An MCP server on a queue: batches in, batches out.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use aws_sdk_sqs::{
    Client,
    types::{DeleteMessageBatchRequestEntry, Message, SendMessageBatchRequestEntry},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use testkit::emulator::client_for;
use tokio::task::JoinSet;

use crate::parts::wire::{self, LARGEST_BATCH, LONGEST_WAIT};

const INITIALIZE_RESULT: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"far-end","version":"1"}}"#;

/// Answers `initialize`, and every call with its text.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    requests: String,
    /// Where each session's answers go.
    reply_queues: Mutex<HashMap<String, String>>,
}

#[derive(Deserialize)]
struct Incoming<'text> {
    id: Option<&'text str>,
    #[serde(borrow)]
    params: Option<Params<'text>>,
}

#[derive(Deserialize)]
struct Params<'text> {
    response_queue_url: Option<String>,
    #[serde(borrow)]
    arguments: Option<Arguments<'text>>,
}

#[derive(Deserialize)]
struct Arguments<'text> {
    #[serde(borrow)]
    text: &'text RawValue,
}

impl Server {
    pub(super) fn new(endpoint: &str, access_key: &str, requests: &str) -> Self {
        let client = client_for(endpoint, access_key);
        Self { client, requests: requests.to_owned(), reply_queues: Mutex::default() }
    }

    /// Receives for ever; the answers to a batch and its deletion go out while the next one comes in.
    pub(super) async fn run(self: Arc<Self>) -> Result<()> {
        let mut answering = JoinSet::new();
        loop {
            let receive = self.client.receive_message().queue_url(&self.requests);
            let receive = receive.max_number_of_messages(LARGEST_BATCH).wait_time_seconds(LONGEST_WAIT);
            let batch = receive.send().await?.messages.unwrap_or_default();
            while let Some(answered) = answering.try_join_next() {
                answered??;
            }
            if !batch.is_empty() {
                answering.spawn(Arc::clone(&self).answer_all(batch));
            }
        }
    }

    async fn answer_all(self: Arc<Self>, batch: Vec<Message>) -> Result<()> {
        let (mut answers, mut receipts) = (BTreeMap::<String, Vec<_>>::new(), Vec::new());
        for (index, message) in batch.iter().enumerate() {
            let receipt = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            receipts.push(receipt.receipt_handle(message.receipt_handle().unwrap_or_default()).build()?);
            if let Some((queue, answer)) = self.answer(index, message.body().unwrap_or_default())? {
                answers.entry(queue).or_default().push(answer);
            }
        }
        let sends = answers.into_iter().map(async |(queue, entries)| {
            let sent =
                self.client.send_message_batch().queue_url(queue).set_entries(Some(entries)).send().await?;
            anyhow::ensure!(sent.failed().is_empty(), "an answer was refused");
            Ok(())
        });
        let delete =
            self.client.delete_message_batch().queue_url(&self.requests).set_entries(Some(receipts)).send();
        let (sent, deleted) = tokio::join!(futures_util::future::try_join_all(sends), delete);
        sent?;
        deleted?;
        Ok(())
    }

    /// The answer to a message, and the queue that it goes to; none to a notification.
    fn answer(&self, index: usize, body: &str) -> Result<Option<(String, SendMessageBatchRequestEntry)>> {
        let Incoming { id, params } = serde_json::from_str(body)?;
        let Some(id) = id else { return Ok(None) };
        let (session, _) = id.rsplit_once(':').context("an id that no proxy made")?;
        let mut reply_queues = self.reply_queues.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match params {
            Some(Params { response_queue_url: Some(url), .. }) => {
                reply_queues.insert(session.to_owned(), url);
                INITIALIZE_RESULT.to_owned()
            }
            Some(Params { arguments: Some(Arguments { text }), .. }) => {
                format!(r#"{{"content":[{{"type":"text","text":{text}}}]}}"#)
            }
            _ => "{}".to_owned(),
        };
        let queue = reply_queues.get(session).context("a session that was not initialized")?.clone();
        let answer = format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{result}}}"#);
        let attributes = [("MessageType", "jsonrpc"), ("SessionId", session), ("RequestId", id)];
        Ok(Some((queue, wire::entry(index, answer, &attributes)?)))
    }
}
