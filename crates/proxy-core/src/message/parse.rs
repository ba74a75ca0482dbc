//! From text to messages, and the pieces of text that messages of our own are made of.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::{error::Category, value::RawValue};

use super::{Message, Notification, Outcome, Request, RequestId, Response, Span, code};

/// The most messages that one batch may hold.
pub const MAX_BATCH: usize = 1000;

/// Why a text is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The text is not JSON, or not UTF-8.
    #[error("the message is not valid JSON")]
    NotJson,
    /// The JSON is no JSON-RPC 2.0 message.
    #[error("the JSON is not a JSON-RPC 2.0 message: {0}")]
    Invalid(&'static str),
}

impl MessageError {
    /// The JSON-RPC error code: -32700 or -32600.
    pub fn code(&self) -> i64 {
        match self {
            Self::NotJson => code::PARSE_ERROR,
            Self::Invalid(_) => code::INVALID_REQUEST,
        }
    }
}

/// What a client may send in one go: a message, or (2025-03-26 only) a batch of them.
#[derive(Debug, Clone)]
pub enum Body {
    /// A single message.
    Single(Message),
    /// A batch, of at least one and at most [`MAX_BATCH`] messages.
    Batch(Vec<Message>),
}

impl Body {
    /// Reads a body. A batch with one bad member is refused as a whole.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, MessageError> {
        let text = String::from_utf8(bytes).map_err(|_| MessageError::NotJson)?;
        if !text.trim_start().starts_with('[') {
            return message(text).map(Self::Single);
        }
        let members: Vec<&RawValue> =
            serde_json::from_str(&text).map_err(|error| from_json(&error, "a batch is an array"))?;
        match members.len() {
            0 => Err(MessageError::Invalid("the batch is empty")),
            count if count > MAX_BATCH => Err(MessageError::Invalid("the batch holds too many messages")),
            _ => members
                .into_iter()
                .map(|member| message(member.get().to_owned()))
                .collect::<Result<_, _>>()
                .map(Self::Batch),
        }
    }
}

/// All that is read of a message. Deserialized flat: an untagged enum loses `RawValue`s silently.
#[derive(Deserialize)]
struct Flat<'text> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'text, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'text RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'text, str>>,
    #[serde(borrow)]
    params: Option<&'text RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'text RawValue>,
    #[serde(borrow)]
    error: Option<&'text RawValue>,
}

/// Tells a member that is `null` from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

pub(super) fn message(text: String) -> Result<Message, MessageError> {
    let flat: Flat<'_> = serde_json::from_str(&text)
        .map_err(|error| from_json(&error, "a member is missing, repeated or of the wrong type"))?;
    // serde would take an array's items for the members, one after another
    if text.trim_start().starts_with('[') {
        return Err(MessageError::Invalid("it is an array where an object is wanted"));
    }
    if flat.jsonrpc.as_deref() != Some("2.0") {
        return Err(MessageError::Invalid("jsonrpc is not \"2.0\""));
    }
    let id = match flat.id {
        None => None,
        Some(raw) if raw.get() == "null" => Some(None),
        Some(raw) => {
            let id = RequestId::from_json(raw.get())
                .ok_or(MessageError::Invalid("the id is neither a string nor a number"))?;
            Some(Some((id, span(&text, raw.get()))))
        }
    };
    if let Some(method) = flat.method {
        if flat.result.is_some() || flat.error.is_some() {
            return Err(MessageError::Invalid("it has both a method and an outcome"));
        }
        let params = match flat.params.map(RawValue::get) {
            None => None,
            Some(params) if params.starts_with(['{', '[']) => Some(span(&text, params)),
            Some(_) => return Err(MessageError::Invalid("params is neither an object nor an array")),
        };
        let method = Box::from(method);
        return match id {
            None => Ok(Message::Notification(Notification { text, method, params })),
            Some(Some((id, id_span))) => {
                Ok(Message::Request(Request::assemble(text, id, id_span, method, params)))
            }
            Some(None) => Err(MessageError::Invalid("the id of a request is null")),
        };
    }
    let outcome = match (flat.result, flat.error) {
        (Some(result), None) => Outcome::Result(span(&text, result.get())),
        (None, Some(error)) if error.get().starts_with('{') => Outcome::Error(span(&text, error.get())),
        (None, Some(_)) => return Err(MessageError::Invalid("error is not an object")),
        (Some(_), Some(_)) => return Err(MessageError::Invalid("it has both a result and an error")),
        (None, None) => return Err(MessageError::Invalid("it has neither a method nor an outcome")),
    };
    let id = id.flatten();
    if id.is_none() && matches!(outcome, Outcome::Result(_)) {
        return Err(MessageError::Invalid("a result has no id"));
    }
    Ok(Message::Response(Response { text, id, outcome }))
}

fn from_json(error: &serde_json::Error, otherwise: &'static str) -> MessageError {
    match error.classify() {
        Category::Data => MessageError::Invalid(otherwise),
        Category::Io | Category::Syntax | Category::Eof => MessageError::NotJson,
    }
}

/// Where `inner`, a slice of `outer`, stands in it.
pub(super) fn span(outer: &str, inner: &str) -> Span {
    let start = inner.as_ptr().addr() - outer.as_ptr().addr();
    start..start + inner.len()
}

/// The JSON text of a string.
pub(crate) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn push_params(text: &mut String, params: Option<&RawValue>) -> Option<Span> {
    let params = params?;
    text.push_str(r#","params":"#);
    let start = text.len();
    text.push_str(params.get());
    Some(start..text.len())
}
