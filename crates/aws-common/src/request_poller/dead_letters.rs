//! Where requests go that can never be done: to the dead-letter queue, with the reason.

use std::{collections::HashMap, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{Message, MessageAttributeValue, MessageSystemAttributeName},
};
use proxy_core::{
    BackendMetrics, ProxyContext,
    error::{BackendError, ErrorKind},
};
use tokio::time::sleep;

use crate::{
    attributes::{context_text, is_fifo, name},
    backoff::Backoff,
    error::Call,
};

/// How many attributes a message has room for (AWS, "Amazon SQS message metadata").
const MOST_ATTRIBUTES: usize = 10;

/// How often a dead letter is tried. Then the message comes again.
const ATTEMPTS: u32 = 4;

/// The delay before the first retry, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A dead-letter queue.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetters {
    client: Client,
    url: Box<str>,
    metrics: BackendMetrics,
}

impl DeadLetters {
    /// The dead-letter queue at `url`.
    pub(crate) fn new(client: Client, url: &str, metrics: BackendMetrics) -> Self {
        Self { client, url: url.into(), metrics }
    }

    /// Puts a message there, with the reason beside it. Tries again what may pass.
    pub(super) async fn take(&self, message: &Message, reason: &str) -> Result<(), BackendError> {
        let mut attributes = with_reason(message, reason);
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let mut attempt = 1;
        loop {
            match self.send(message, &attributes).await {
                Ok(()) => return Ok(()),
                // there was no room for the reason
                Err(error) if error.kind() == ErrorKind::TooLarge && attempt == 1 => {
                    attributes = message.message_attributes.clone().unwrap_or_default();
                }
                // a dead letter may come twice
                Err(error) if attempt < ATTEMPTS && error.kind().is_retryable() => {
                    sleep(backoff.next_delay()).await;
                }
                Err(error) => return Err(error),
            }
            attempt += 1;
        }
    }

    async fn send(
        &self,
        message: &Message,
        attributes: &HashMap<String, MessageAttributeValue>,
    ) -> Result<(), BackendError> {
        let mut request = self
            .client
            .send_message()
            .queue_url(&*self.url)
            .set_message_body(message.body.clone())
            .set_message_attributes(Some(attributes.clone()));
        if is_fifo(&self.url) {
            let id = message.message_id().unwrap_or_default();
            let group = message
                .attributes()
                .and_then(|attributes| attributes.get(&MessageSystemAttributeName::MessageGroupId));
            request = request.message_group_id(group.map_or(id, String::as_str)).message_deduplication_id(id);
        }
        let call = Call {
            operation: "acknowledge",
            permission: "sqs:SendMessage",
            target: "the dead-letter queue",
            sends: false,
        };
        let result = request.send().await.map_err(|error| call.failed(&error));
        self.metrics.called("SendMessage", result.as_ref().map(|_| ()));
        result.map(|_| ())
    }
}

/// The message's own attributes, and the reason in its `ProxyContext`, for which the one goes that always says the same.
fn with_reason(message: &Message, reason: &str) -> HashMap<String, MessageAttributeValue> {
    let mut attributes = message.message_attributes.clone().unwrap_or_default();
    let context = attributes.get(name::PROXY_CONTEXT).and_then(MessageAttributeValue::string_value);
    let mut context = context.and_then(ProxyContext::parse).unwrap_or_default();
    context.v = ProxyContext::VERSION;
    context.reason = Some(reason.into());
    if attributes.len() >= MOST_ATTRIBUTES && !attributes.contains_key(name::PROXY_CONTEXT) {
        attributes.remove(name::MESSAGE_TYPE);
    }
    let value =
        MessageAttributeValue::builder().data_type("String").string_value(context_text(&context)).build();
    if attributes.len() < MOST_ATTRIBUTES || attributes.contains_key(name::PROXY_CONTEXT) {
        attributes.extend(value.ok().map(|value| (name::PROXY_CONTEXT.to_owned(), value)));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_finds_room_among_ten_attributes() {
        let value =
            || MessageAttributeValue::builder().data_type("String").string_value("x").build().unwrap();
        let mut message = Message::builder().message_attributes(name::MESSAGE_TYPE, value());
        for number in 0..9 {
            message = message.message_attributes(format!("a{number}"), value());
        }
        let attributes = with_reason(&message.build(), "too often");
        assert_eq!(attributes.len(), 10);
        assert!(!attributes.contains_key(name::MESSAGE_TYPE));
        let context = ProxyContext::parse(attributes[name::PROXY_CONTEXT].string_value().unwrap()).unwrap();
        assert_eq!(context.reason.as_deref(), Some("too often"));
    }

    #[test]
    fn a_reason_and_what_a_peer_wrote_are_what_aws_takes() {
        let context = MessageAttributeValue::builder().data_type("String");
        let context = context.string_value(r#"{"v":1,"owner":"\ufffe"}"#).build().unwrap();
        let message = Message::builder().message_attributes(name::PROXY_CONTEXT, context).build();
        let attributes = with_reason(&message, "of \u{ffff}");
        let text = attributes[name::PROXY_CONTEXT].string_value().unwrap();
        assert!(!text.contains(['\u{fffe}', '\u{ffff}']), "{text:?}");
        let context = ProxyContext::parse(text).unwrap();
        assert_eq!(
            (context.owner.as_deref(), context.reason.as_deref()),
            (Some("\u{fffe}"), Some("of \u{ffff}"))
        );
    }
}
