//! Messages on their way to a peer that may have to go by way of S3.

use std::time::Duration;

use proxy_core::error::{BackendError, Delivery, ErrorKind};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::LargePayloads;
use crate::{attributes::OutgoingMessage, backoff::Backoff};

/// The delay before a payload is stored a second time, and the longest between two.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The message as it goes to a peer that announced that it reads the payloads `announced`: its claim check where it is too large for
/// the transport, which takes `limit`, and the peer reads what we store; else as it is. What may pass is tried again until `deadline`.
///
/// # Errors
/// The payload is larger than `max_message`, or could not be stored; nothing was sent.
pub async fn offload(
    payloads: Option<&LargePayloads>,
    announced: Option<&str>,
    message: OutgoingMessage,
    limit: usize,
    deadline: Instant,
) -> Result<OutgoingMessage, BackendError> {
    let Some(payloads) = payloads.filter(|payloads| announced == Some(&*payloads.announces())) else {
        return Ok(message);
    };
    if !payloads.is_large(message.size(), limit) {
        return Ok(message);
    }
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        let Ok(stored) = timeout_at(deadline, payloads.offload(message.clone(), limit)).await else {
            let message = "the payload could not be stored in time";
            return Err(
                BackendError::new(ErrorKind::Unavailable, "send", message).with_delivery(Delivery::NotSent)
            );
        };
        let retry_at = Instant::now() + backoff.next_delay();
        match stored {
            Err(error) if error.kind().is_retryable() && retry_at < deadline => {
                tracing::debug!(error = %error, error.type = error.kind().as_str(), "a payload is stored again");
                sleep_until(retry_at).await;
            }
            stored => return stored,
        }
    }
}
