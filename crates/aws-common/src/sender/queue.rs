//! A queue as a destination.

use async_trait::async_trait;
use aws_sdk_sqs::{
    Client,
    error::BuildError,
    types::{MessageAttributeValue, SendMessageBatchRequestEntry},
};
use proxy_core::error::{BackendError, ErrorKind};

use super::{Destination, Outcomes};
use crate::{
    attributes::OutgoingMessage,
    error::{Call, code_of},
};

/// An SQS queue, standard or FIFO.
#[derive(Debug)]
pub struct QueueDestination {
    client: Client,
    queue_url: Box<str>,
}

impl QueueDestination {
    /// The queue at `queue_url`.
    pub fn new(client: Client, queue_url: &str) -> Self {
        Self { client, queue_url: queue_url.into() }
    }
}

#[async_trait]
impl Destination for QueueDestination {
    fn action(&self) -> &'static str {
        "SendMessageBatch"
    }

    fn permission(&self) -> &'static str {
        "sqs:SendMessage"
    }

    async fn transmit(
        &self,
        messages: &[&OutgoingMessage],
        call: Call<'_>,
    ) -> Result<Outcomes, BackendError> {
        let mut entries = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            entries.push(entry(index, message).map_err(unmade)?);
        }
        let request = self.client.send_message_batch().queue_url(&*self.queue_url).set_entries(Some(entries));
        let output = request.send().await.map_err(|error| call.failed(&error))?;
        let mut outcomes = Outcomes::default();
        for failed in output.failed() {
            let code = code_of(Some(failed.code()), failed.message()).unwrap_or_default();
            outcomes.failed(failed.id(), code, failed.sender_fault());
        }
        for sent in output.successful() {
            outcomes.sent(sent.id());
        }
        Ok(outcomes)
    }
}

fn entry(index: usize, message: &OutgoingMessage) -> Result<SendMessageBatchRequestEntry, BuildError> {
    let mut entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(&message.body);
    for attribute in &message.attributes {
        let value = MessageAttributeValue::builder()
            .data_type(attribute.data_type.as_str())
            .string_value(&attribute.value)
            .build()?;
        entry = entry.message_attributes(&*attribute.name, value);
    }
    if let Some(group) = &message.group {
        entry = entry.message_group_id(&*group.id).message_deduplication_id(&*group.deduplication_id);
    }
    entry.build()
}

fn unmade(error: BuildError) -> BackendError {
    BackendError::new(ErrorKind::Protocol, "send", "the message cannot be put into a request")
        .with_source(error)
}
