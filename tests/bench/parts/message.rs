//! The MCP server that every far end is: it answers `initialize`, and each call with the text that came with it.

use anyhow::Result;
use serde::Deserialize;
use serde_json::value::RawValue;

const INITIALIZE_RESULT: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"far-end","version":"1"}}"#;

/// A message from a client, as far as it is read.
#[derive(Deserialize)]
pub(super) struct Message<'text> {
    #[serde(borrow)]
    id: Option<&'text RawValue>,
    pub(super) method: Option<&'text str>,
    #[serde(borrow, default)]
    params: Params<'text>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Params<'text> {
    response_queue_url: Option<&'text str>,
    client_topic_arn: Option<&'text str>,
    #[serde(borrow, rename = "_meta")]
    meta: Meta<'text>,
    #[serde(borrow)]
    arguments: Option<Arguments<'text>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta<'text> {
    #[serde(rename = "webhookUrl")]
    webhook_url: Option<&'text str>,
}

#[derive(Deserialize)]
struct Arguments<'text> {
    #[serde(borrow)]
    text: &'text RawValue,
}

impl<'text> Message<'text> {
    pub(super) fn parse(text: &'text [u8]) -> Result<Self> {
        Ok(serde_json::from_slice(text)?)
    }

    /// The id as text; `None` for a notification.
    pub(super) fn id(&self) -> Option<&'text str> {
        self.id.map(|id| id.get().trim_matches('"'))
    }

    pub(super) fn is_initialize(&self) -> bool {
        self.method == Some("initialize")
    }

    /// Where `initialize` says that answers go: a queue, a topic or a URL.
    pub(super) fn reply_to(&self) -> Option<&'text str> {
        let Params { response_queue_url, client_topic_arn, meta, .. } = &self.params;
        response_queue_url.or(*client_topic_arn).or(meta.webhook_url)
    }

    /// The answer; `None` to a notification.
    pub(super) fn answer(&self) -> Option<String> {
        let id = self.id?;
        let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#);
        Some(match &self.params.arguments {
            _ if self.is_initialize() => [&head, INITIALIZE_RESULT, "}"].concat(),
            Some(Arguments { text }) => {
                [&head, r#"{"content":[{"type":"text","text":"#, text.get(), "}]}}"].concat()
            }
            None => [&head, "{}}"].concat(),
        })
    }
}
