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
pub(crate) const DEFAULT_MESSAGE_BYTES: usize = 262_144;

/// A queue's attributes, as far as they were asked for.
pub type QueueAttributes = HashMap<QueueAttributeName, String>;

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

/// A permission on a queue that a call without an effect tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueuePermission {
    /// `sqs:SendMessage`.
    Send,
    /// `sqs:ReceiveMessage`.
    Receive,
    /// `sqs:DeleteMessage`.
    Delete,
    /// `sqs:ChangeMessageVisibility`.
    Hide,
}

impl QueuePermission {
    /// The name that IAM gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "sqs:SendMessage",
            Self::Receive => "sqs:ReceiveMessage",
            Self::Delete => "sqs:DeleteMessage",
            Self::Hide => "sqs:ChangeMessageVisibility",
        }
    }
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
    ) -> Result<QueueAttributes, BackendError> {
        let request = self.client.get_queue_attributes().queue_url(&*self.url);
        let result = request.set_attribute_names(Some(names.into_iter().collect())).send().await;
        let target = if operation == "start" { &self.described } else { &self.name };
        let call = Call { operation, permission: "sqs:GetQueueAttributes", target, sends: false };
        let result = result.map_err(|error| call.failed(&error));
        self.metrics.called("GetQueueAttributes", result.as_ref().map(|_| ()));
        Ok(result?.attributes.unwrap_or_default())
    }

    /// Whether we may send to it.
    ///
    /// # Errors
    /// As [`Queue::probe`].
    pub async fn check_sends(&self) -> Result<(), BackendError> {
        self.probe(QueuePermission::Send).await
    }

    /// Whether we may receive from it and acknowledge.
    ///
    /// # Errors
    /// As [`Queue::probe`].
    pub async fn check_receives(&self) -> Result<(), BackendError> {
        for permission in [QueuePermission::Receive, QueuePermission::Delete, QueuePermission::Hide] {
            self.probe(permission).await?;
        }
        Ok(())
    }

    /// Whether we have this permission on it, by a call without an effect: an empty batch, say, is refused for being empty, or before
    /// that for lack of the permission.
    ///
    /// # Errors
    /// `Denied` or `Config` only.
    pub async fn probe(&self, permission: QueuePermission) -> Result<(), BackendError> {
        let (client, url) = (&self.client, &*self.url);
        match permission {
            QueuePermission::Send => {
                let probe = client.send_message_batch().queue_url(url).set_entries(Some(Vec::new()));
                self.judge("SendMessageBatch", permission, probe.send().await)
            }
            QueuePermission::Receive => {
                // an emulator that takes it must not hide anything by it
                let probe =
                    client.receive_message().queue_url(url).max_number_of_messages(0).visibility_timeout(0);
                self.judge("ReceiveMessage", permission, probe.send().await)
            }
            QueuePermission::Delete => {
                let probe = client.delete_message_batch().queue_url(url).set_entries(Some(Vec::new()));
                self.judge("DeleteMessageBatch", permission, probe.send().await)
            }
            QueuePermission::Hide => {
                let probe =
                    client.change_message_visibility_batch().queue_url(url).set_entries(Some(Vec::new()));
                self.judge("ChangeMessageVisibilityBatch", permission, probe.send().await)
            }
        }
    }

    /// Only a denial or a missing queue counts: any other refusal of a probe is what it is made for.
    fn judge<T, E>(
        &self,
        action: &'static str,
        permission: QueuePermission,
        result: Result<T, SdkError<E, HttpResponse>>,
    ) -> Result<(), BackendError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let call = Call {
            operation: "start",
            permission: permission.as_str(),
            target: &self.described,
            sends: false,
        };
        let result = result.map(|_| ()).map_err(|error| call.failed(&error));
        let result = match result {
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Config) => Err(error),
            _ => Ok(()),
        };
        self.metrics.called(action, result.as_ref().copied());
        result
    }
}
