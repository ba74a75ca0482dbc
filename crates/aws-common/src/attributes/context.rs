//! The attribute `ProxyContext`: everything that both our ends add, as compact JSON.

use serde::{Deserialize, Serialize};

/// What our two ends tell each other beside a message. Keys that are not known are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxyContext {
    /// The version of this format: 1.
    pub v: u32,
    /// From the proxy: where the answer goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<ReplyAddress>,
    /// From the proxy: Unix milliseconds past which the call is not started any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// From the worker, in the answer to initialize: the eras that it speaks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub eras: Vec<Box<str>>,
    /// From the worker: the wire id that a notification or server request belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<Box<str>>,
    /// From the worker: the message's number within its exchange, from 1; on the answer, how many came before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// From the worker, with an error answer: the session is not here any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// From the worker: the address that the session's later requests should go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Box<str>>,
    /// From a proxy to itself: the instance whose poll this message ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake: Option<Box<str>>,
}

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplyAddress {
    /// The URL of an SQS queue.
    Sqs(Box<str>),
    /// The ARN of an SNS topic.
    Sns(Box<str>),
    /// The URL of a webhook.
    Url(Box<str>),
}

impl ProxyContext {
    /// The version of the format that this is.
    pub const VERSION: u32 = 1;

    /// Reads the attribute's value; `None` for what is no context of this version.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|context: &Self| context.v == Self::VERSION)
    }

    /// The attribute's value.
    pub fn to_json(&self) -> String {
        // strings, numbers and lists of them: serializing cannot fail
        serde_json::to_string(self).unwrap_or_default()
    }
}
