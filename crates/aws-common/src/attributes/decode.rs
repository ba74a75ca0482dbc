//! From a received body and its attributes to what the inbox takes.

use aws_sdk_sqs::types;
use proxy_core::{
    ProxyContext,
    backend::Inbound,
    id::{RemoteSession, RouteKey},
    message::{Message, MessageError},
};

use super::name;

/// A received message, understood.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every message is the large one")]
pub enum Received {
    /// For the inbox.
    Inbound(Inbound),
    /// An instance's message to itself, which ends its poll: the instance id.
    Wake(Box<str>),
    /// An instance's message to itself, which shows that answers would come: the instance id.
    Probe(Box<str>),
}

/// The body is no JSON-RPC message. `Display` shows none of it.
#[derive(Debug)]
pub struct Malformed(Option<MessageError>);

impl Malformed {
    pub(super) fn without_body() -> Self {
        Self(None)
    }
}

impl From<MessageError> for Malformed {
    fn from(error: MessageError) -> Self {
        Self(Some(error))
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(error) => error.fmt(formatter),
            None => formatter.write_str("it has no body"),
        }
    }
}

impl std::error::Error for Malformed {}

/// Reads a message of a queue that the far end writes to directly.
///
/// # Errors
/// When the body is no JSON-RPC message. Attributes that cannot be read are taken for absent: an answer is not lost for them.
pub fn decode(message: &types::Message) -> Result<Received, Malformed> {
    let attribute = |name: &str| message.message_attributes()?.get(name)?.string_value();
    decode_parts(message.body(), attribute, message.message_id())
}

/// Reads a message from its parts, wherever they stood.
///
/// # Errors
/// As [`decode`].
pub fn decode_parts<'message>(
    body: Option<&str>,
    attribute: impl Fn(&str) -> Option<&'message str>,
    message_id: Option<&str>,
) -> Result<Received, Malformed> {
    let mut context = attribute(name::PROXY_CONTEXT).and_then(ProxyContext::parse).unwrap_or_default();
    if let Some(instance) = context.wake.take() {
        return Ok(Received::Wake(instance));
    }
    if let Some(instance) = context.probe.take() {
        return Ok(Received::Probe(instance));
    }
    let body = body.ok_or(Malformed(None))?;
    let parsed = Message::parse(body).map_err(|error| Malformed(Some(error)))?;
    let session = attribute(name::SESSION_ID);
    let route = session.and_then(|text| RouteKey::parse(text).ok());
    let own = if route.is_some() { None } else { session.and_then(|text| RemoteSession::parse(text).ok()) };
    Ok(Received::Inbound(context.inbound(route, own, parsed, message_id)))
}
