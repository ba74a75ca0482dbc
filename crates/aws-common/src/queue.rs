//! One queue, as far as starting and readiness look at it.

use std::{collections::HashMap, fmt::Debug};

use crate::error::Call;
use aws_sdk_sqs::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::QueueAttributeName,
};
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
};

/// What a queue takes that does not say: the smallest default of any SQS, of before August 2025 (AWS: 256 KiB, now 1 MiB).
const DEFAULT_MESSAGE_BYTES: usize = 262_144;

/// One queue. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: Box<str>,
    /// What errors call it at start, for operators: role and URL.
    described: Box<str>,
    /// What errors call it later, for clients too: role and name.
    name: Box<str>,
    metrics: BackendMetrics,
}

impl Queue {
    /// The queue at `url`, which `role` tells what it is for, such as `reply queue`.
    pub fn new(client: &Client, url: &str, role: &str, metrics: &BackendMetrics) -> Self {
        let short = url.rsplit('/').next().unwrap_or(url);
        Self {
            client: client.clone(),
            url: url.into(),
            described: format!("the {role} {url}").into(),
            name: format!("the {role} {short}").into(),
            metrics: metrics.clone(),
        }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What errors and logs call it: role and name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The largest message that it takes; says whether the queue exists and may be looked at.
    ///
    /// # Errors
    /// As for every call; at `start` with the URL, otherwise with the name.
    pub async fn message_bytes(&self, operation: &'static str) -> Result<usize, BackendError> {
        let attribute = QueueAttributeName::MaximumMessageSize;
        let attributes = self.attributes(operation, [attribute.clone()]).await?;
        let size = attributes.get(&attribute).and_then(|size| size.parse().ok());
        Ok(size.unwrap_or(DEFAULT_MESSAGE_BYTES))
    }

    /// Those of its attributes with these names that it has.
    ///
    /// # Errors
    /// As [`Queue::message_bytes`].
    pub async fn attributes(
        &self,
        operation: &'static str,
        names: impl IntoIterator<Item = QueueAttributeName>,
    ) -> Result<HashMap<QueueAttributeName, String>, BackendError> {
        let request = self.client.get_queue_attributes().queue_url(&*self.url);
        let result = request.set_attribute_names(Some(names.into_iter().collect())).send().await;
        let target = if operation == "start" { &self.described } else { &self.name };
        let call = Call { operation, permission: "sqs:GetQueueAttributes", target, sends: false };
        let result = result.map_err(|error| call.failed(&error));
        self.metrics.called("GetQueueAttributes", result.as_ref().map(|_| ()));
        Ok(result?.attributes.unwrap_or_default())
    }

    /// Whether we may send to it: an empty batch is refused for being empty, or before that for lack of the permission.
    ///
    /// # Errors
    /// `Denied` or `Config` only.
    pub async fn check_sends(&self) -> Result<(), BackendError> {
        let probe = self.client.send_message_batch().queue_url(&*self.url).set_entries(Some(Vec::new()));
        self.judge("SendMessageBatch", "sqs:SendMessage", probe.send().await)
    }

    /// Whether we may receive from it and acknowledge. Every probe is one that SQS refuses, so none has an effect.
    ///
    /// # Errors
    /// `Denied` or `Config` only.
    pub async fn check_receives(&self) -> Result<(), BackendError> {
        // an emulator that takes it must not hide anything by it
        let receive = self
            .client
            .receive_message()
            .queue_url(&*self.url)
            .max_number_of_messages(0)
            .visibility_timeout(0);
        self.judge("ReceiveMessage", "sqs:ReceiveMessage", receive.send().await)?;
        let delete = self.client.delete_message_batch().queue_url(&*self.url).set_entries(Some(Vec::new()));
        self.judge("DeleteMessageBatch", "sqs:DeleteMessage", delete.send().await)?;
        let hide = self.client.change_message_visibility_batch().queue_url(&*self.url);
        let hide = hide.set_entries(Some(Vec::new())).send().await;
        self.judge("ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility", hide)
    }

    /// Only a denial or a missing queue counts: any other refusal of a probe is what it is made for.
    fn judge<T, E>(
        &self,
        action: &'static str,
        permission: &'static str,
        result: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<(), BackendError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let call = Call { operation: "start", permission, target: &self.described, sends: false };
        let result = result.map(|_| ()).map_err(|error| call.failed(&error));
        let result = match result {
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Config) => Err(error),
            _ => Ok(()),
        };
        self.metrics.called(action, result.as_ref().copied());
        result
    }
}
