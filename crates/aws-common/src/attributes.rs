//! Message attributes: what travels beside a message over queues and topics, both ways.
//!
//! SQS refuses an eleventh attribute, and SNS with raw delivery drops such a message in silence, so there is a budget: seven that
//! asyncmcp knows, `ProxyContext`, one for a claim check, one of the operator's.

mod context;
mod decode;
mod encode;
mod operator;

pub use self::{
    context::{ProxyContext, ReplyAddress},
    decode::{Malformed, Received, decode},
    encode::Envelope,
    operator::operator_problems,
};

/// The names of the attributes.
pub(crate) mod name {
    pub(crate) const CLIENT_ID: &str = "ClientId";
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
        "ExtendedPayloadSize",
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

#[cfg(test)]
mod tests;
