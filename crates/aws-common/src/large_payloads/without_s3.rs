//! The bucket, in a build without S3: there is none.

use proxy_core::error::{BackendError, ErrorKind};

use super::{LargePayloadsConfig, error::PayloadError};
use crate::client::{ClientSettings, SdkConfig};

#[derive(Debug, Clone)]
pub(super) enum Bucket {}

impl Bucket {
    #[expect(clippy::unused_async, reason = "as with S3")]
    pub(super) async fn connect(_: &str, _: &ClientSettings, _: &str) -> Result<Self, BackendError> {
        Err(built_without())
    }

    pub(super) fn over_sdk(_: &LargePayloadsConfig, _: &SdkConfig) -> Result<Self, BackendError> {
        Err(built_without())
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

fn built_without() -> BackendError {
    let message = "large_payloads is configured, which this program was built without: build it with the feature large-payloads";
    BackendError::new(ErrorKind::Config, "start", message)
}
