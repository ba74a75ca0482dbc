//! One receive.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{Client, types::MessageSystemAttributeName};
use futures_util::future::BoxFuture;
use proxy_core::BackendMetrics;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{PollHealth, PollSettings, Polled};
use crate::error::Call;

/// How long the last receive waits that looks for what is left.
const SWEEP: Duration = Duration::from_secs(1);

/// What part of the time in which a message is hidden its payload may take to be read.
const READING: u32 = 3;

/// The shortest time from one empty receive to the next.
const SHORTEST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) client: Client,
    pub(super) settings: PollSettings,
    pub(super) metrics: BackendMetrics,
    pub(super) health: Arc<PollHealth>,
}

impl Receiver {
    /// Receives once, after `delay`; a shutdown in the delay ends it, one in the receive does not.
    pub(super) fn receive<'poller>(
        &'poller self,
        delay: Duration,
        shutdown: &'poller CancellationToken,
    ) -> BoxFuture<'poller, Polled> {
        Box::pin(async move {
            if !delay.is_zero() && shutdown.run_until_cancelled(sleep(delay)).await.is_none() {
                return Ok(Vec::new());
            }
            let started = Instant::now();
            let received = self.call(self.settings.wait_time).await;
            if received.as_ref().is_ok_and(Vec::is_empty) {
                // a long poll takes its time; without one, or at an emulator that knows none, this would spin
                shutdown.run_until_cancelled(sleep_until(started + SHORTEST)).await;
            }
            received
        })
    }

    /// Receives what is there without waiting for more.
    pub(super) fn look(&self) -> BoxFuture<'_, Polled> {
        Box::pin(self.call(Duration::ZERO))
    }

    /// Receives once more what is there.
    pub(super) fn sweep(&self) -> BoxFuture<'_, Polled> {
        Box::pin(self.call(SWEEP.min(self.settings.wait_time)))
    }

    async fn call(&self, wait_time: Duration) -> Polled {
        let PollSettings { queue_url, name, max_messages, visibility_timeout, payloads, .. } = &self.settings;
        let request = self
            .client
            .receive_message()
            .queue_url(&**queue_url)
            .max_number_of_messages(i32::from(*max_messages))
            .wait_time_seconds(seconds(wait_time))
            .visibility_timeout(seconds(*visibility_timeout))
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_attribute_names("All");
        let call =
            Call { operation: "receive", permission: "sqs:ReceiveMessage", target: name, sends: false };
        let result = request.send().await.map_err(|error| call.failed(&error));
        self.metrics.called("ReceiveMessage", result.as_ref().map(|_| ()));
        match result {
            Ok(output) => {
                if self.health.succeeded() {
                    tracing::info!(messaging.destination.name = %name, "receiving again");
                }
                let messages = output.messages.unwrap_or_default();
                Ok(payloads.read(messages, *visibility_timeout / READING).await)
            }
            Err(error) => {
                self.metrics.receive_failed(&error);
                if self.health.failed(&error) {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(error = %error, cause, error.type = error.kind().as_str(), "receive failed, trying on");
                }
                Err(error)
            }
        }
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
