//! What a request may carry: the parameters of every action in one struct.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::error::ServiceError;
use super::message::{Draft, Wanted};

/// The parameters of all actions; an action reads its own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Request {
    queue_url: Option<String>,
    queue_name: Option<String>,
    pub(super) queue_name_prefix: Option<String>,
    pub(super) max_results: Option<usize>,
    pub(super) next_token: Option<String>,
    pub(super) attributes: BTreeMap<String, String>,
    /// `CreateQueue` spells it small, `TagQueue` large.
    #[serde(alias = "tags")]
    pub(super) tags: BTreeMap<String, String>,
    pub(super) tag_keys: Vec<String>,
    pub(super) attribute_names: Vec<String>,
    message_system_attribute_names: Vec<String>,
    message_attribute_names: Vec<String>,
    pub(super) max_number_of_messages: Option<i64>,
    pub(super) wait_time_seconds: Option<i64>,
    receipt_handle: Option<String>,
    pub(super) visibility_timeout: Option<i64>,
    pub(super) entries: Vec<Entry>,
    #[serde(flatten)]
    pub(super) draft: Draft,
}

/// One entry of a batch, of whichever action.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) receipt_handle: String,
    pub(super) visibility_timeout: Option<i64>,
    #[serde(flatten)]
    pub(super) draft: Draft,
}

impl Request {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ServiceError> {
        let body: Value = serde_json::from_slice(body).map_err(ServiceError::malformed)?;
        serde_json::from_value(body).map_err(ServiceError::malformed)
    }

    pub(super) fn create_queue(name: &str, attributes: BTreeMap<String, String>) -> Self {
        Self { queue_name: Some(name.to_owned()), attributes, ..Self::default() }
    }

    /// The queue's name, the last part of its URL.
    pub(super) fn queue(&self) -> Result<&str, ServiceError> {
        let url = self.queue_url.as_deref();
        let name = url.and_then(|url| url.trim_end_matches('/').rsplit('/').next());
        name.ok_or_else(|| ServiceError::missing_parameter("QueueUrl"))
    }

    pub(super) fn queue_name(&self) -> Result<&str, ServiceError> {
        self.queue_name.as_deref().ok_or_else(|| ServiceError::missing_parameter("QueueName"))
    }

    pub(super) fn receipt_handle(&self) -> Result<&str, ServiceError> {
        self.receipt_handle.as_deref().ok_or_else(|| ServiceError::missing_parameter("ReceiptHandle"))
    }

    /// What a receive asks for; system attributes have an old and a new parameter.
    pub(super) fn wanted(&self) -> Wanted {
        let system = self.attribute_names.iter().chain(&self.message_system_attribute_names);
        Wanted { message: self.message_attribute_names.clone(), system: system.cloned().collect() }
    }
}
