//! Messages as they go over SQS.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};

/// SQS takes and gives ten messages at once.
pub(super) const LARGEST_BATCH: i32 = 10;

/// The longest long poll, in seconds.
pub(super) const LONGEST_WAIT: i32 = 20;

/// One message of a batch, with these attributes and a timestamp.
pub(super) fn entry(
    index: usize,
    body: String,
    attributes: &[(&str, &str)],
) -> Result<SendMessageBatchRequestEntry> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body);
    entry = entry.message_attributes("Timestamp", attribute("Number", &seconds.to_string())?);
    for (name, value) in attributes {
        entry = entry.message_attributes(*name, attribute("String", value)?);
    }
    Ok(entry.build()?)
}

fn attribute(data_type: &str, value: &str) -> Result<MessageAttributeValue> {
    Ok(MessageAttributeValue::builder().data_type(data_type).string_value(value).build()?)
}
