//! Messages as they go over queues and topics.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use aws_sdk_sns::types::{MessageAttributeValue as TopicAttribute, PublishBatchRequestEntry as TopicEntry};
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry as Receipt, Message, MessageAttributeValue as QueueAttribute,
    SendMessageBatchRequestEntry as QueueEntry,
};
use testkit::emulator::{client_for, sns_client_for};

/// SQS takes and gives ten messages at once, SNS takes ten.
pub(super) const LARGEST_BATCH: i32 = 10;

/// The longest long poll, in seconds.
pub(super) const LONGEST_WAIT: i32 = 20;

/// One message of a batch.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) body: String,
    pub(super) attributes: Vec<(&'static str, String)>,
}

/// What messages are sent to.
#[derive(Debug, Clone)]
pub(super) enum Destination {
    Queue(aws_sdk_sqs::Client, String),
    Topic(aws_sdk_sns::Client, String),
}

/// A queue that is read.
#[derive(Debug)]
pub(super) struct Source {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Destination {
    /// The topic with this ARN or the queue with this URL.
    pub(super) fn new(endpoint: &str, access_key: &str, name: &str) -> Self {
        if name.starts_with("arn:") {
            Self::Topic(sns_client_for(endpoint, access_key), name.to_owned())
        } else {
            Self::Queue(client_for(endpoint, access_key), name.to_owned())
        }
    }

    /// The same clients for another topic or queue.
    pub(super) fn named(&self, name: &str) -> Self {
        match self {
            Self::Queue(client, _) => Self::Queue(client.clone(), name.to_owned()),
            Self::Topic(client, _) => Self::Topic(client.clone(), name.to_owned()),
        }
    }

    /// Sends at most ten messages at once.
    pub(super) async fn send(&self, entries: Vec<Entry>) -> Result<()> {
        let entries = entries.into_iter().enumerate();
        let refused = match self {
            Self::Queue(client, url) => {
                let entries = entries.map(|(index, entry)| entry.for_queue(index)).collect::<Result<_>>()?;
                let send = client.send_message_batch().queue_url(url).set_entries(Some(entries));
                send.send().await?.failed.len()
            }
            Self::Topic(client, arn) => {
                let entries = entries.map(|(index, entry)| entry.for_topic(index)).collect::<Result<_>>()?;
                let publish =
                    client.publish_batch().topic_arn(arn).set_publish_batch_request_entries(Some(entries));
                publish.send().await?.failed().len()
            }
        };
        ensure!(refused == 0, "{refused} messages were refused");
        Ok(())
    }
}

impl Entry {
    /// Besides its own attributes each message has a timestamp.
    fn for_queue(self, index: usize) -> Result<QueueEntry> {
        let attribute =
            |kind: &str, value: String| QueueAttribute::builder().data_type(kind).string_value(value).build();
        let mut entry = QueueEntry::builder().id(index.to_string()).message_body(self.body);
        entry = entry.message_attributes("Timestamp", attribute("Number", now()?)?);
        for (name, value) in self.attributes {
            entry = entry.message_attributes(name, attribute("String", value)?);
        }
        Ok(entry.build()?)
    }

    fn for_topic(self, index: usize) -> Result<TopicEntry> {
        let attribute =
            |kind: &str, value: String| TopicAttribute::builder().data_type(kind).string_value(value).build();
        let mut entry = TopicEntry::builder().id(index.to_string()).message(self.body);
        entry = entry.message_attributes("Timestamp", attribute("Number", now()?)?);
        for (name, value) in self.attributes {
            entry = entry.message_attributes(name, attribute("String", value)?);
        }
        Ok(entry.build()?)
    }
}

fn now() -> Result<String> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().to_string())
}

impl Source {
    pub(super) fn new(endpoint: &str, access_key: &str, url: &str) -> Self {
        Self { client: client_for(endpoint, access_key), url: url.to_owned() }
    }

    /// At most ten messages, none after `wait` seconds.
    pub(super) async fn receive(&self, wait: i32) -> Result<Vec<Message>> {
        let receive = self.client.receive_message().queue_url(&self.url);
        let receive = receive.max_number_of_messages(LARGEST_BATCH).wait_time_seconds(wait);
        Ok(receive.message_attribute_names("All").send().await?.messages.unwrap_or_default())
    }

    pub(super) async fn delete(&self, messages: &[Message]) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut entries = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let receipt = message.receipt_handle().unwrap_or_default();
            entries.push(Receipt::builder().id(index.to_string()).receipt_handle(receipt).build()?);
        }
        let delete = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
        ensure!(delete.send().await?.failed().is_empty(), "a message could not be deleted");
        Ok(())
    }
}
