//! Messages over the transport's limit, by way of S3: the claim check of the AWS Extended Client Library, so that its users' messages
//! are read too and they read ours.
//!
//! The payload is an object, and the message says only where it is. Whatever a message names, only objects of the configured bucket
//! and prefix are read or deleted. Without the feature `large-payloads` everything here is there but cannot be connected, and a message
//! that points elsewhere is refused with a reason.

mod config;
mod error;
mod outgoing;
mod pointer;
mod reader;
#[cfg(feature = "large-payloads")]
mod s3;
#[cfg(not(feature = "large-payloads"))]
#[path = "large_payloads/without_s3.rs"]
mod s3;

use proxy_core::error::{BackendError, Delivery, ErrorKind};

use crate::{
    attributes::{Attribute, DataType, OutgoingMessage, name},
    client::{ClientSettings, SdkConfig},
};

pub use self::{
    config::LargePayloadsConfig,
    outgoing::offload,
    reader::{PayloadReader, Unwrap},
};
pub(crate) use self::{
    error::PayloadError,
    pointer::Pointer,
    reader::{Arrived, Payload},
};

/// A bucket that large messages are put into and taken from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LargePayloads {
    config: LargePayloadsConfig,
    bucket: s3::Bucket,
}

/// A message whose payload was in S3.
#[derive(Debug)]
pub(crate) struct Restored {
    /// The message.
    pub(crate) body: String,
    /// Where it was: to be given to [`LargePayloads::delete`] once the message that named it is deleted from its queue.
    pub(crate) pointer: Pointer,
}

impl LargePayloads {
    /// Prepares a client of the bucket, with the credentials of every AWS program; nothing is called yet. `settings` and `used` say the
    /// region, where the configuration does not, as for the transport's own client.
    ///
    /// # Errors
    /// `Config` when no region can be found, and in a build without the feature `large-payloads`.
    pub(crate) async fn connect(
        config: LargePayloadsConfig,
        settings: &ClientSettings,
        used: &str,
    ) -> Result<Self, BackendError> {
        let settings = ClientSettings {
            // an endpoint of the queue's is none of S3's
            endpoint_url: config.endpoint_url.clone(),
            region: config.region.clone().or_else(|| settings.region.clone()),
        };
        let bucket = s3::Bucket::connect(&config.bucket, &settings, used).await?;
        Ok(Self { config, bucket })
    }

    /// What a backend or intake is started with: the caller's `own`, else what is configured, if that is, once it is certain that it
    /// can be used.
    ///
    /// # Errors
    /// `Config` when no region can be found, and in a build without the feature `large-payloads`; what a payload that is stored, read and
    /// deleted fails at.
    pub async fn at_start(
        own: Option<Self>,
        config: Option<&LargePayloadsConfig>,
        settings: &ClientSettings,
        used: &str,
    ) -> Result<Option<Self>, BackendError> {
        let payloads = match (own, config) {
            (Some(own), _) => own,
            (None, Some(config)) => Self::connect(config.clone(), settings, used).await?,
            (None, None) => return Ok(None),
        };
        payloads.check().await?;
        Ok(Some(payloads))
    }

    /// The same over a caller's own configuration of the SDK, but for its endpoint, which is the queue's.
    ///
    /// # Errors
    /// `Config` in a build without the feature `large-payloads`.
    pub fn over_sdk(config: LargePayloadsConfig, sdk: &SdkConfig) -> Result<Self, BackendError> {
        let bucket = s3::Bucket::over_sdk(&config, sdk)?;
        Ok(Self { config, bucket })
    }

    /// The same over a caller's own client.
    #[cfg(feature = "large-payloads")]
    pub fn over(config: LargePayloadsConfig, client: aws_sdk_s3::Client) -> Self {
        let bucket = s3::Bucket::over(&config.bucket, client);
        Self { config, bucket }
    }

    /// What the other end is told in [`ProxyContext::payloads`](proxy_core::ProxyContext::payloads), so that it may send large payloads
    /// here: only one that reads the same.
    pub(crate) fn announces(&self) -> String {
        format!("{}/{}", self.config.bucket, self.config.prefix)
    }

    /// Whether a message of this size goes by way of S3, where the transport takes `limit`.
    pub(crate) fn is_large(&self, size: usize, limit: usize) -> bool {
        size > self.config.threshold.map_or(limit, |threshold| threshold.min(limit))
    }

    /// The message as it is, or where it is too large for the transport, which takes `limit`, its claim check: the payload is stored, the body
    /// replaced, the attribute `ExtendedPayloadSize` added. For a peer that announced the same payloads only.
    ///
    /// # Errors
    /// The payload is larger than `max_message`, or could not be stored; nothing was sent.
    pub(crate) async fn offload(
        &self,
        message: OutgoingMessage,
        limit: usize,
    ) -> Result<OutgoingMessage, BackendError> {
        if !self.is_large(message.size(), limit) {
            return Ok(message);
        }
        let (pointer, size) = self.store(message.body).await?;
        let mut attributes = message.attributes;
        attributes.push(Attribute {
            name: name::EXTENDED_PAYLOAD_SIZE.into(),
            data_type: DataType::Number,
            value: size.to_string(),
        });
        Ok(OutgoingMessage { body: pointer.to_body(), attributes, group: message.group })
    }

    /// Stores a payload. Returns where it is, and its size in bytes, which goes into `ExtendedPayloadSize`.
    ///
    /// # Errors
    /// The payload is larger than `max_message`, or could not be stored.
    pub(crate) async fn store(&self, body: String) -> Result<(Pointer, usize), BackendError> {
        let size = body.len();
        if size > self.config.max_message {
            let most = self.config.max_message;
            let message =
                format!("the message has {size} bytes, where large payloads of at most {most} are possible");
            return Err(
                BackendError::new(ErrorKind::TooLarge, "send", message).with_delivery(Delivery::NotSent)
            );
        }
        let pointer = Pointer::new(&self.config.bucket, format!("{}{}", self.config.prefix, random_name()?));
        self.bucket.put(pointer.key(), body).await?;
        Ok((pointer, size))
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`PayloadError::Malformed`] where it can never be read: it is not in the configured bucket and prefix, is no more, is too large,
    /// or no text. [`PayloadError::Failed`] where it may be read later.
    pub(crate) async fn fetch(&self, pointer: &Pointer) -> Result<String, PayloadError> {
        self.is_ours(pointer)?;
        self.bucket.get(pointer.key(), self.config.max_message).await
    }

    /// Deletes a payload whose message was deleted from its queue. Not for one that came from a topic: others may have a copy of its
    /// message.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub(crate) async fn delete(&self, pointer: &Pointer) -> Result<(), PayloadError> {
        self.is_ours(pointer)?;
        self.bucket.delete(pointer.key()).await.map_err(PayloadError::Failed)
    }

    /// Stores, reads and deletes a payload: whether all is permitted that is needed.
    ///
    /// # Errors
    /// What failed.
    pub(crate) async fn check(&self) -> Result<(), BackendError> {
        let (pointer, _) = self.store("{}".to_owned()).await?;
        let read = self.fetch(&pointer).await;
        self.delete(&pointer).await.and(read).map(drop).map_err(|error| match error {
            PayloadError::Failed(error) => error,
            PayloadError::Malformed(reason) => {
                let text =
                    format!("what is stored in {:?} is not what is read: {reason}", self.config.bucket);
                BackendError::new(ErrorKind::Protocol, "check", text)
            }
        })
    }

    fn is_ours(&self, pointer: &Pointer) -> Result<(), PayloadError> {
        if pointer.is_within(&self.config.bucket, &self.config.prefix) {
            Ok(())
        } else {
            Err(PayloadError::Malformed("its payload is not in the configured bucket and prefix".into()))
        }
    }
}

/// The message that a body stands for: `None` where it is the message itself.
///
/// To be asked of each body before it is parsed, also where there are no large payloads: the reason then says so.
///
/// # Errors
/// As [`LargePayloads::fetch`]; [`PayloadError::Malformed`] where there are none.
pub(crate) async fn restore(
    payloads: Option<&LargePayloads>,
    body: &str,
) -> Result<Option<Restored>, PayloadError> {
    let Some(pointer) = Pointer::parse(body) else { return Ok(None) };
    let Some(payloads) = payloads else {
        let reason = "it points to a payload in S3, and large_payloads is not configured";
        return Err(PayloadError::Malformed(reason.into()));
    };
    let body = payloads.fetch(&pointer).await?;
    Ok(Some(Restored { body, pointer }))
}

/// A name that nobody can guess, in the form of those that the Extended Client Library gives: a random UUID (RFC 9562, section 5.4).
fn random_name() -> Result<String, BackendError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| {
        BackendError::new(ErrorKind::Unavailable, "send", "the operating system gives no random bytes")
            .with_delivery(Delivery::NotSent)
    })?;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{number:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    Ok(parts.join("-"))
}

#[cfg(test)]
mod tests;
