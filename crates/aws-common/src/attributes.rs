//! Message attributes: what travels beside a message over queues and topics, both ways.
//!
//! SQS refuses an eleventh attribute, and SNS with raw delivery drops such a message in silence, so there is a budget: seven that
//! asyncmcp knows, `ProxyContext`, one for a claim check, one of the operator's.

mod decode;
mod encode;
mod group;
mod operator;
mod reply;
mod request;

pub use self::{
    decode::{Malformed, Received, decode, decode_parts},
    encode::Envelope,
    operator::operator_problems,
    reply::{seal_forwarded, seal_reply},
    request::{ReceivedRequest, ReplyMembers, decode_request, decode_request_parts, delivery_of},
};

pub(crate) use self::encode::context_text;

/// The names of the attributes.
pub(crate) mod name {
    pub(crate) const CLIENT_ID: &str = "ClientId";
    pub(crate) const EXTENDED_PAYLOAD_SIZE: &str = "ExtendedPayloadSize";
    pub(crate) const MESSAGE_TYPE: &str = "MessageType";
    pub(crate) const METHOD: &str = "Method";
    pub(crate) const PROTOCOL_VERSION: &str = "ProtocolVersion";
    pub(crate) const PROXY_CONTEXT: &str = "ProxyContext";
    pub(crate) const REQUEST_ID: &str = "RequestId";
    pub(crate) const SESSION_ID: &str = "SessionId";
    pub(crate) const TIMESTAMP: &str = "Timestamp";

    /// All that an operator cannot use: the above, and those of the Extended Client Library.
    pub(crate) const RESERVED: [&str; 10] = [
        CLIENT_ID,
        MESSAGE_TYPE,
        METHOD,
        PROTOCOL_VERSION,
        PROXY_CONTEXT,
        REQUEST_ID,
        SESSION_ID,
        TIMESTAMP,
        EXTENDED_PAYLOAD_SIZE,
        "SQSLargePayloadSize",
    ];
}

/// A message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: Box<str>,
    /// What its value is.
    pub data_type: DataType,
    /// Its value.
    pub value: String,
}

/// What an attribute's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// Text.
    String,
    /// A number in decimal digits.
    Number,
}

impl DataType {
    /// The name that AWS gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Number => "Number",
        }
    }
}

/// A message as it goes to a queue or topic.
#[derive(Clone)]
pub struct OutgoingMessage {
    /// The JSON-RPC message.
    pub body: String,
    /// What travels beside it: at most ten.
    pub attributes: Vec<Attribute>,
    /// Where it stands in a FIFO queue or topic; none for a standard one.
    pub group: Option<Group>,
}

/// Where a message stands in a FIFO queue or topic. Neither id counts towards the message's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The group, which gives out nothing more while one of its messages is in flight (`MessageGroupId`): 1 to 128 characters.
    pub id: Box<str>,
    /// Names the message for ever: what comes with the same again within five minutes is dropped (`MessageDeduplicationId`): 1 to 128
    /// characters.
    pub deduplication_id: Box<str>,
}

impl OutgoingMessage {
    /// Its size as AWS counts it: the body, and each attribute's name, type and value (AWS, "Amazon SQS message quotas").
    pub fn size(&self) -> usize {
        let size = |attribute: &Attribute| {
            attribute.name.len() + attribute.data_type.as_str().len() + attribute.value.len()
        };
        self.body.len() + self.attributes.iter().map(size).sum::<usize>()
    }
}

impl std::fmt::Debug for OutgoingMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("OutgoingMessage").field("bytes", &self.size()).finish_non_exhaustive()
    }
}

/// Whether AWS carries this attribute value: not empty, no control characters, no noncharacters of its list.
fn is_carried(value: &str) -> bool {
    !value.is_empty() && !value.contains(|character: char| character.is_control() || is_refused(character))
}

/// Whether AWS refuses this character even in a body (SQS API, `SendMessage`; control characters cannot stand in JSON).
fn is_refused(character: char) -> bool {
    matches!(character, '\u{FFFE}' | '\u{FFFF}')
}

/// Whether a queue or topic is FIFO: its name ends so (SQS `CreateQueue`, SNS `CreateTopic`).
pub fn is_fifo(url_or_arn: &str) -> bool {
    url_or_arn.strip_suffix(".fifo").is_some()
}

#[cfg(test)]
mod tests;
