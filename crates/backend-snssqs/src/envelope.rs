//! From a message of the queue, in an envelope of SNS or raw, to what the inbox takes.

use aws_common::attributes::{Malformed, Received, decode_parts};
use aws_sdk_sqs::types;
use serde::Deserialize;
use serde_json::Value;

/// What SNS wraps around a message unless its delivery is raw (SNS developer guide, "HTTP/HTTPS notification JSON format", which SQS
/// subscriptions share). The attributes are looked at one by one: an answer is not lost for one that cannot be read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    r#type: String,
    message: String,
    #[serde(default)]
    message_attributes: Value,
}

/// Reads a message that came by way of a topic. Where an attribute stands on the message and in the envelope, the message's counts.
///
/// # Errors
/// When there is no JSON-RPC message in it.
pub(crate) fn decode(message: &types::Message) -> Result<Received, Malformed> {
    let outer = |name: &str| message.message_attributes()?.get(name)?.string_value();
    let raw = decode_parts(message.body(), outer, message.message_id());
    if raw.is_ok() {
        return raw;
    }
    let Some(notification) = message.body().and_then(notification) else { return raw };
    let inner = |name: &str| {
        let attribute = notification.message_attributes.get(name)?;
        // the value of a binary one is base64, and not what it says
        let is_binary = attribute["Type"].as_str().is_some_and(|kind| kind.starts_with("Binary"));
        attribute.get("Value")?.as_str().filter(|_| !is_binary)
    };
    let attribute = |name: &str| outer(name).or_else(|| inner(name));
    decode_parts(Some(&notification.message), attribute, message.message_id())
}

fn notification(body: &str) -> Option<Notification> {
    serde_json::from_str(body)
        .ok()
        .filter(|notification: &Notification| notification.r#type == "Notification")
}

#[cfg(test)]
mod tests;
