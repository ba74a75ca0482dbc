//! The two queues, as far as starting and readiness look at them.

use std::{
    fmt::Debug,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_common::Call;
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
use tokio::time::Instant;

/// What a queue takes that does not say: the smallest default of any SQS, of before August 2025 (AWS: 256 KiB, now 1 MiB).
const DEFAULT_MESSAGE_BYTES: usize = 262_144;

/// How long an answer about the request queue is good for, since readiness is asked often.
const CHECKED_FOR: Duration = Duration::from_secs(10);

/// One queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    client: Client,
    url: Box<str>,
    /// What errors call it at start, for operators: role and URL.
    described: Box<str>,
    /// What errors call it later, for clients too: role and name.
    name: Box<str>,
    metrics: BackendMetrics,
}

impl Queue {
    pub(crate) fn new(client: &Client, url: &str, role: &str, metrics: &BackendMetrics) -> Self {
        let short = url.rsplit('/').next().unwrap_or(url);
        Self {
            client: client.clone(),
            url: url.into(),
            described: format!("the {role} {url}").into(),
            name: format!("the {role} {short}").into(),
            metrics: metrics.clone(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The largest message that it takes; says whether the queue exists and may be looked at.
    pub(crate) async fn message_bytes(&self, operation: &'static str) -> Result<usize, BackendError> {
        let attribute = QueueAttributeName::MaximumMessageSize;
        let request = self.client.get_queue_attributes().queue_url(&*self.url);
        let result = request.attribute_names(attribute.clone()).send().await;
        let target = if operation == "start" { &self.described } else { &self.name };
        let call = Call { operation, permission: "sqs:GetQueueAttributes", target, sends: false };
        let result = result.map_err(|error| call.failed(&error));
        self.metrics.called("GetQueueAttributes", result.as_ref().map(|_| ()));
        let size = result?.attributes().and_then(|attributes| attributes.get(&attribute)?.parse().ok());
        Ok(size.unwrap_or(DEFAULT_MESSAGE_BYTES))
    }

    /// Whether we may send to it: an empty batch is refused for being empty, or before that for lack of the permission.
    pub(crate) async fn check_sends(&self) -> Result<(), BackendError> {
        let probe = self.client.send_message_batch().queue_url(&*self.url).set_entries(Some(Vec::new()));
        self.judge("SendMessageBatch", "sqs:SendMessage", probe.send().await)
    }

    /// Whether we may receive from it and acknowledge. Every probe is one that SQS refuses, so none has an effect.
    pub(crate) async fn check_receives(&self) -> Result<(), BackendError> {
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

/// Both queues, for readiness.
#[derive(Debug)]
pub(crate) struct Queues {
    requests: Queue,
    replies: Queue,
    requests_checked: Mutex<Option<Instant>>,
}

impl Queues {
    pub(crate) fn new(requests: Queue, replies: Queue) -> Self {
        Self { requests, replies, requests_checked: Mutex::new(None) }
    }

    pub(crate) async fn check_replies(&self) -> Result<(), BackendError> {
        self.replies.message_bytes("check").await.map(|_| ())
    }

    /// Asks at most every ten seconds, as long as the answers are good.
    pub(crate) async fn check_requests(&self) -> Result<(), BackendError> {
        let now = Instant::now();
        let checked = *self.requests_checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.is_some_and(|checked| now.duration_since(checked) < CHECKED_FOR) {
            return Ok(());
        }
        self.requests.message_bytes("check").await?;
        *self.requests_checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }
}
