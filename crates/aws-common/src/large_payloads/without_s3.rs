//! The bucket, in a build without S3: there is none.

use proxy_core::error::{BackendError, ErrorKind};

use super::error::PayloadError;
use crate::client::ClientSettings;

#[derive(Debug, Clone)]
pub(super) enum Bucket {}

impl Bucket {
    #[expect(clippy::unused_async, reason = "as with S3")]
    pub(super) async fn connect(_: &str, _: &ClientSettings, _: &str) -> Result<Self, BackendError> {
        let message = "large_payloads is configured, which this program was built without: build it with the feature large-payloads";
        Err(BackendError::new(ErrorKind::Config, "start", message))
    }

    #[expect(clippy::unused_async, reason = "as with S3")]
    pub(super) async fn put(&self, _: &str, _: String) -> Result<(), BackendError> {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as with S3")]
    pub(super) async fn get(&self, _: &str, _: usize) -> Result<String, PayloadError> {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as with S3")]
    pub(super) async fn delete(&self, _: &str) -> Result<(), BackendError> {
        match *self {}
    }
}
