//! JSON-RPC messages, parsed as deep as routing needs and passed through byte for byte otherwise.
//!
//! A message keeps its text and knows where in it the few members stand that a proxy has to read or replace. Whatever it does
//! not replace, unknown members, number formats and member order included, leaves as it came. `peek` names every
//! member of `params` and `result` that is ever looked at.

mod edit;
mod members;
mod parse;
pub(crate) mod peek;
mod request_id;

use std::ops::Range;

use serde::Serialize;
use serde_json::value::RawValue;

use self::peek::Peeked;

pub use self::{
    parse::{Body, MAX_BATCH, MessageError},
    peek::{ClientCapabilities, InvalidParams},
    request_id::{ProgressToken, RequestId},
};

/// JSON-RPC and MCP error codes.
pub mod code {
    /// The body is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The JSON is not a message that can be taken here.
    pub const INVALID_REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters do not fit the method.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The proxy or its backend failed; `data.reason` says at what.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// A refusal of the HTTP layer, as the official SDK servers number it.
    pub const TRANSPORT: i64 = -32000;
    /// There is no such session, as the official SDK servers number it.
    pub const SESSION_NOT_FOUND: i64 = -32001;
}

/// Where a member's value stands in the text.
type Span = Range<usize>;

/// One JSON-RPC 2.0 message. Exhaustive on purpose.
#[derive(Debug, Clone)]
pub enum Message {
    /// Wants an answer.
    Request(Request),
    /// Wants none.
    Notification(Notification),
    /// An answer.
    Response(Response),
}

/// A JSON-RPC request.
#[derive(Clone)]
pub struct Request {
    text: String,
    id: RequestId,
    id_span: Span,
    method: Box<str>,
    params: Option<Span>,
    peeked: Result<Peeked, InvalidParams>,
}

/// A JSON-RPC notification.
#[derive(Clone)]
pub struct Notification {
    text: String,
    method: Box<str>,
    params: Option<Span>,
}

/// A JSON-RPC response: a result or an error.
#[derive(Clone)]
pub struct Response {
    text: String,
    id: Option<(RequestId, Span)>,
    outcome: Outcome,
}

#[derive(Clone)]
enum Outcome {
    Result(Span),
    Error(Span),
}

impl Outcome {
    fn span(&self) -> Span {
        match self {
            Self::Result(span) | Self::Error(span) => span.clone(),
        }
    }
}

impl Message {
    /// Reads one message; arrays are no messages ([`Body::parse`] takes them).
    pub fn parse(text: impl Into<String>) -> Result<Self, MessageError> {
        parse::message(text.into())
    }

    /// The message as it travels.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Request(request) => &request.text,
            Self::Notification(notification) => &notification.text,
            Self::Response(response) => &response.text,
        }
    }

    /// The message as it travels.
    pub fn into_text(self) -> String {
        match self {
            Self::Request(request) => request.text,
            Self::Notification(notification) => notification.text,
            Self::Response(response) => response.text,
        }
    }

    /// The method of a request or notification.
    pub fn method(&self) -> Option<&str> {
        match self {
            Self::Request(request) => Some(&request.method),
            Self::Notification(notification) => Some(&notification.method),
            Self::Response(_) => None,
        }
    }

    /// The id of a request or response.
    pub fn id(&self) -> Option<&RequestId> {
        match self {
            Self::Request(request) => Some(&request.id),
            Self::Notification(_) => None,
            Self::Response(response) => response.id(),
        }
    }
}

impl Request {
    /// A request of the proxy's own.
    pub fn new(id: RequestId, method: &str, params: Option<&RawValue>) -> Self {
        let id_text = id.to_json();
        let method_text = parse::json_string(method);
        let mut text = format!(r#"{{"jsonrpc":"2.0","id":{id_text},"method":{method_text}"#);
        let id_start = r#"{"jsonrpc":"2.0","id":"#.len();
        let params = parse::push_params(&mut text, params);
        text.push('}');
        Self::assemble(text, id, id_start..id_start + id_text.len(), method.into(), params)
    }

    /// The request with these parts. Its parameters are looked into here, once, and not where time is dear.
    fn assemble(text: String, id: RequestId, id_span: Span, method: Box<str>, params: Option<Span>) -> Self {
        let peeked = Peeked::at(&text, &method, params.as_ref());
        Self { text, id, id_span, method, params, peeked }
    }

    /// Its id, as whoever sent it chose it.
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// Its method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The text of its `params`, if it has any.
    pub fn params(&self) -> Option<&str> {
        self.params.clone().and_then(|span| self.text.get(span))
    }

    /// The message as it travels.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The message as it travels.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Notification {
    /// A notification of the proxy's own.
    pub fn new(method: &str, params: Option<&RawValue>) -> Self {
        let mut text = format!(r#"{{"jsonrpc":"2.0","method":{}"#, parse::json_string(method));
        let params = parse::push_params(&mut text, params);
        text.push('}');
        Self { text, method: method.into(), params }
    }

    /// The cancellation of the request with this id (2025-11-25, basic/utilities/cancellation).
    pub fn cancelled(id: &RequestId, reason: &str) -> Self {
        let head = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":"#;
        let params = format!(r#"{{"requestId":{},"reason":{}}}"#, id.to_json(), parse::json_string(reason));
        let span = head.len()..head.len() + params.len();
        Self {
            text: format!("{head}{params}}}"),
            method: "notifications/cancelled".into(),
            params: Some(span),
        }
    }

    /// Its method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The text of its `params`, if it has any.
    pub fn params(&self) -> Option<&str> {
        self.params.clone().and_then(|span| self.text.get(span))
    }

    /// The message as it travels.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The message as it travels.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Response {
    /// The empty result, with which pings are answered.
    pub fn empty_result(id: RequestId) -> Self {
        Self::compose(Some(id), "result", "{}", Outcome::Result)
    }

    /// A result, as a JSON text.
    pub(crate) fn result_of(id: RequestId, result: &str) -> Self {
        Self::compose(Some(id), "result", result, Outcome::Result)
    }

    /// An error. Without an id it is one about a message whose id could not be read, which is written as `null`.
    pub fn error(id: Option<RequestId>, error: &ErrorObject<'_>) -> Self {
        Self::compose(id, "error", &error.to_json(), Outcome::Error)
    }

    /// The error with this text, for the request with this id.
    fn from_error_text(id: &RequestId, error: &str) -> Self {
        Self::compose(Some(id.clone()), "error", error, Outcome::Error)
    }

    fn compose(id: Option<RequestId>, member: &str, json: &str, outcome: fn(Span) -> Outcome) -> Self {
        let head = r#"{"jsonrpc":"2.0","id":"#;
        let id_text = id.as_ref().map_or_else(|| "null".into(), RequestId::to_json);
        let mut text = format!("{head}{id_text},\"{member}\":");
        let start = text.len();
        text.push_str(json);
        let outcome = outcome(start..text.len());
        text.push('}');
        let id_span = head.len()..head.len() + id_text.len();
        Self { text, id: id.map(|id| (id, id_span)), outcome }
    }

    /// The id of the request that it answers, unless it is `null` or missing.
    pub fn id(&self) -> Option<&RequestId> {
        self.id.as_ref().map(|(id, _)| id)
    }

    /// The text of its result, if it is one.
    pub fn result(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Result(span) => self.text.get(span.clone()),
            Outcome::Error(_) => None,
        }
    }

    /// The error object's text, if it is an error.
    pub fn error_object(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Result(_) => None,
            Outcome::Error(span) => self.text.get(span.clone()),
        }
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        matches!(self.outcome, Outcome::Error(_))
    }

    /// The message as it travels.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The message as it travels.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// The error object of a response (JSON-RPC 2.0, section 5.1).
#[derive(Debug, Clone, Serialize)]
pub struct ErrorObject<'text> {
    /// One of [`code`], or an application's own.
    pub code: i64,
    /// A sentence for people: what happened, to what, what to do.
    pub message: &'text str,
    /// For machines: why, as one of a closed set of words, in `data.reason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<ErrorData<'text>>,
}

/// The `data` of the proxy's own errors.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorData<'text> {
    /// One of a closed set of words, listed in docs/ARCHITECTURE.md.
    pub reason: &'text str,
}

impl<'text> ErrorObject<'text> {
    /// An error with a reason for machines.
    pub fn new(code: i64, message: &'text str, reason: &'text str) -> Self {
        Self { code, message, data: Some(ErrorData { reason }) }
    }

    /// An error whose code says it all.
    pub fn plain(code: i64, message: &'text str) -> Self {
        Self { code, message, data: None }
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

macro_rules! debug_without_body {
    ($($name:ident: $field:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.debug_struct(stringify!($name)).field(stringify!($field), &self.$field).field("bytes", &self.text.len()).finish()
            }
        }
    )*};
}
debug_without_body!(Request: method, Notification: method, Response: id);

#[cfg(test)]
mod tests;
