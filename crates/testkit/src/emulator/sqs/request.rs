//! What a request may carry: the parameters of every action in one struct.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::message::{Draft, Wanted};
use crate::emulator::error::ServiceError;

/// The parameters of all actions; an action reads its own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::emulator) struct Request {
    queue_url: Option<String>,
    queue_name: Option<String>,
    pub(in crate::emulator) queue_name_prefix: Option<String>,
    pub(in crate::emulator) max_results: Option<usize>,
    pub(in crate::emulator) next_token: Option<String>,
    pub(in crate::emulator) attributes: BTreeMap<String, String>,
    /// `CreateQueue` spells it small, `TagQueue` large.
    #[serde(alias = "tags")]
    pub(in crate::emulator) tags: BTreeMap<String, String>,
    pub(in crate::emulator) tag_keys: Vec<String>,
    pub(in crate::emulator) attribute_names: Vec<String>,
    message_system_attribute_names: Vec<String>,
    message_attribute_names: Vec<String>,
    pub(in crate::emulator) max_number_of_messages: Option<i64>,
    pub(in crate::emulator) wait_time_seconds: Option<i64>,
    receipt_handle: Option<String>,
    pub(in crate::emulator) visibility_timeout: Option<i64>,
    pub(in crate::emulator) entries: Vec<Entry>,
    #[serde(flatten)]
    pub(in crate::emulator) draft: Draft,
}

/// One entry of a batch, of whichever action.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::emulator) struct Entry {
    pub(in crate::emulator) id: String,
    pub(in crate::emulator) receipt_handle: String,
    pub(in crate::emulator) visibility_timeout: Option<i64>,
    #[serde(flatten)]
    pub(in crate::emulator) draft: Draft,
}

impl Request {
    pub(in crate::emulator) fn parse(body: &[u8]) -> Result<Self, ServiceError> {
        let body: Value = serde_json::from_slice(body).map_err(ServiceError::malformed)?;
        serde_json::from_value(body).map_err(ServiceError::malformed)
    }

    pub(in crate::emulator) fn create_queue(name: &str, attributes: BTreeMap<String, String>) -> Self {
        Self { queue_name: Some(name.to_owned()), attributes, ..Self::default() }
    }

    /// The queue's name, the last part of its URL.
    pub(in crate::emulator) fn queue(&self) -> Result<&str, ServiceError> {
        let url = self.queue_url.as_deref();
        let name = url.and_then(|url| url.trim_end_matches('/').rsplit('/').next());
        name.ok_or_else(|| ServiceError::missing_parameter("QueueUrl"))
    }

    pub(in crate::emulator) fn queue_name(&self) -> Result<&str, ServiceError> {
        self.queue_name.as_deref().ok_or_else(|| ServiceError::missing_parameter("QueueName"))
    }

    pub(in crate::emulator) fn receipt_handle(&self) -> Result<&str, ServiceError> {
        self.receipt_handle.as_deref().ok_or_else(|| ServiceError::missing_parameter("ReceiptHandle"))
    }

    /// What a receive asks for; system attributes have an old and a new parameter.
    pub(in crate::emulator) fn wanted(&self) -> Wanted {
        let system = self.attribute_names.iter().chain(&self.message_system_attribute_names);
        Wanted { message: self.message_attribute_names.clone(), system: system.cloned().collect() }
    }
}
