//! Ends our own long poll at shutdown, by a message to ourselves: aborting the receive would hide what it took.

use std::time::Duration;

use aws_sdk_sqs::{Client, types::MessageAttributeValue};
use proxy_core::{
    BackendMetrics, ProxyContext,
    id::{InstanceId, RouteKey},
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    attributes::{is_fifo, name},
    error::Call,
};

/// When to try again: another reader of the queue may have got the message.
const AGAIN: Duration = Duration::from_secs(2);

/// How often the last receive may look for messages to ourselves that did not come.
const SWEEPS: u32 = 2;

#[derive(Debug)]
pub(super) struct Waker {
    client: Client,
    queue_url: Box<str>,
    instance: InstanceId,
    metrics: BackendMetrics,
    next: Option<Instant>,
    sent: usize,
    sweeps: u32,
}

impl Waker {
    pub(super) fn new(
        client: Client,
        queue_url: &str,
        instance: &InstanceId,
        metrics: BackendMetrics,
    ) -> Self {
        Self {
            client,
            queue_url: queue_url.into(),
            instance: instance.clone(),
            metrics,
            next: None,
            sent: 0,
            sweeps: 0,
        }
    }

    /// Resolves when it is time to wake: at shutdown, and every two seconds from then on.
    pub(super) async fn due(&self, shutdown: &CancellationToken) {
        shutdown.cancelled().await;
        if let Some(next) = self.next {
            sleep_until(next).await;
        }
    }

    /// Sends a message for each of the receives. If that fails they end by themselves, after their wait.
    pub(super) async fn wake(&mut self, receives: usize) {
        self.next = Some(Instant::now() + AGAIN);
        for _ in 0..receives {
            if let Err(error) = self.send().await {
                tracing::info!(error = %error, "the poll cannot be woken and ends after its wait");
                return;
            }
            self.sent += 1;
        }
    }

    /// Whether a message to ourselves may still lie in the queue, and looking for it is worth another receive.
    pub(super) fn missing(&mut self, seen: usize) -> bool {
        self.sweeps += 1;
        self.sent > seen && self.sweeps <= SWEEPS
    }

    async fn send(&self) -> Result<(), proxy_core::error::BackendError> {
        let call =
            Call { operation: "receive", permission: "sqs:SendMessage", target: "the queue", sends: false };
        let context = ProxyContext {
            v: ProxyContext::VERSION,
            wake: Some(self.instance.as_str().into()),
            ..ProxyContext::default()
        };
        let attribute =
            MessageAttributeValue::builder().data_type("String").string_value(context.to_json()).build();
        let attribute = attribute.map_err(|error| {
            proxy_core::error::BackendError::new(
                proxy_core::error::ErrorKind::Protocol,
                "receive",
                "the message to ourselves cannot be made",
            )
            .with_source(error)
        })?;
        let mut request = self
            .client
            .send_message()
            .queue_url(&*self.queue_url)
            .message_body(r#"{"jsonrpc":"2.0","method":"notifications/proxy/wake"}"#)
            .message_attributes(name::PROXY_CONTEXT, attribute);
        if is_fifo(&self.queue_url) {
            // a group of its own, which no call that runs holds up
            let id = RouteKey::random(&self.instance);
            request = request.message_group_id(id.as_str()).message_deduplication_id(id.as_str());
        }
        let result = request.send().await.map_err(|error| call.failed(&error));
        self.metrics.called("SendMessage", result.as_ref().map(|_| ()));
        result.map(|_| ())
    }
}
