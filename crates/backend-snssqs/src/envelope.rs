//! From a message of the queue, in an envelope of SNS or raw, to what the inbox or the desk takes.

use aws_common::attributes::{
    Malformed, Received, ReceivedRequest, ReplyMembers, decode_parts, decode_request_parts, delivery_of,
};
use aws_sdk_sqs::types;
use proxy_core::ReplyAddress;
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

/// The end of the class names of claim checks (WIRE.md, "Sizes").
const POINTER: &str = "S3Pointer";

/// Where `initialize` names the topic that answers go to: asyncmcp 0.2.1 writes the first, its main branch the second.
const TOPIC: ReplyMembers =
    ReplyMembers { param: "client_topic_arn", meta: "clientTopicArn", address: ReplyAddress::Sns };

/// Reads a message that came by way of a topic, at the proxy's end. Where an attribute stands on the message and in the envelope, the
/// message's counts.
///
/// # Errors
/// When there is no JSON-RPC message in it.
pub(crate) fn decode(message: &types::Message) -> Result<Received, Malformed> {
    read(message, |body, attribute| decode_parts(body, attribute, message.message_id()))
}

/// The same at the worker's end. When it was sent and how often it was received is what SQS says: SNS says neither.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_request(message: &types::Message) -> Result<ReceivedRequest, Malformed> {
    read(message, |body, attribute| decode_request_parts(body, attribute, &TOPIC, delivery_of(message)))
}

/// A claim check in an envelope, as it would have come raw; `None` for all else, which is read by [`decode`] and [`decode_request`].
pub(crate) fn claim_check(message: &types::Message) -> Option<types::Message> {
    // what every one has in it (WIRE.md, "Sizes"), so that no other envelope is read twice
    let notification = message.body().filter(|body| body.contains(POINTER)).and_then(notification)?;
    let mut raw = message.clone();
    let attributes = raw.message_attributes.get_or_insert_default();
    for (name, attribute) in notification.message_attributes.as_object().into_iter().flatten() {
        let value = text_of(attribute).map(|value| {
            types::MessageAttributeValue::builder().data_type("String").string_value(value).build()
        });
        if let Some(Ok(value)) = value {
            attributes.entry(name.clone()).or_insert(value);
        }
    }
    raw.body = Some(notification.message);
    Some(raw)
}

/// Reads it as it is, and where that is no message, out of the envelope.
fn read<T>(
    message: &types::Message,
    decode: impl for<'part> Fn(Option<&str>, &dyn Fn(&str) -> Option<&'part str>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let outer = |name: &str| message.message_attributes()?.get(name)?.string_value();
    let raw = decode(message.body(), &outer);
    if raw.is_ok() {
        return raw;
    }
    let Some(notification) = message.body().and_then(notification) else { return raw };
    let inner = |name: &str| text_of(notification.message_attributes.get(name)?);
    let attribute = |name: &str| outer(name).or_else(|| inner(name));
    decode(Some(&notification.message), &attribute)
}

/// The value of an attribute in an envelope.
fn text_of(attribute: &Value) -> Option<&str> {
    // that of a binary one is base64, and not what it says
    let is_binary = attribute["Type"].as_str().is_some_and(|kind| kind.starts_with("Binary"));
    attribute.get("Value")?.as_str().filter(|_| !is_binary)
}

fn notification(body: &str) -> Option<Notification> {
    serde_json::from_str(body)
        .ok()
        .filter(|notification: &Notification| notification.r#type == "Notification")
}

#[cfg(test)]
mod tests;
