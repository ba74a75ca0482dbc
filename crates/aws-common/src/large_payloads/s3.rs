//! The bucket, over the SDK.

use aws_sdk_s3::{
    Client,
    config::{Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::get_object::GetObjectOutput,
    primitives::ByteStream,
};
use proxy_core::error::{BackendError, ErrorKind};

use super::{LargePayloadsConfig, error::PayloadError};
use crate::{
    client,
    client::{ClientSettings, SdkConfig},
    error::Call,
};

#[derive(Debug, Clone)]
pub(super) struct Bucket {
    client: Client,
    name: Box<str>,
    /// As errors call it.
    target: Box<str>,
}

impl Bucket {
    pub(super) async fn connect(
        name: &str,
        settings: &ClientSettings,
        used: &str,
    ) -> Result<Self, BackendError> {
        let shared = client::load(settings, used).await?;
        let config = aws_sdk_s3::config::Builder::from(&shared)
            // behind another endpoint a bucket has no host name of its own
            .force_path_style(shared.endpoint_url().is_some())
            // unlike a message, an object may be written twice
            .retry_config(RetryConfig::standard())
            .build();
        Ok(Self::over(name, Client::from_conf(config)))
    }

    #[expect(clippy::unnecessary_wraps, reason = "a build without S3 cannot")]
    pub(super) fn over_sdk(config: &LargePayloadsConfig, sdk: &SdkConfig) -> Result<Self, BackendError> {
        let mut s3 = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(config.endpoint_url.is_some())
            .retry_config(RetryConfig::standard());
        s3.set_endpoint_url(config.endpoint_url.clone());
        if let Some(region) = &config.region {
            s3.set_region(Some(Region::new(region.clone())));
        }
        Ok(Self::over(&config.bucket, Client::from_conf(s3.build())))
    }

    pub(super) fn over(name: &str, client: Client) -> Self {
        Self { client, name: name.into(), target: format!("the bucket {name:?}").into() }
    }

    pub(super) async fn put(&self, key: &str, body: String) -> Result<(), BackendError> {
        let put = self.client.put_object().bucket(&*self.name).key(key);
        let body = ByteStream::from(body.into_bytes());
        let result = put.content_type("application/json").body(body).send().await;
        result.map(drop).map_err(|error| self.failed("send", "s3:PutObject", &error))
    }

    pub(super) async fn get(&self, key: &str, largest: usize) -> Result<String, PayloadError> {
        let malformed = |reason: &str| PayloadError::Malformed(reason.into());
        let found = self.client.get_object().bucket(&*self.name).key(key).send().await.map_err(|error| {
            // said as NoSuchKey only to those who may list the bucket; to others as AccessDenied
            if error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("NoSuchKey") {
                return malformed("its payload is not in S3 any more");
            }
            PayloadError::Failed(self.failed("receive", "s3:GetObject", &error))
        })?;
        let GetObjectOutput { mut body, content_length, .. } = found;
        let said = content_length.and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        let mut bytes = Vec::new();
        if said <= largest {
            bytes.reserve_exact(said);
            while let Some(chunk) = body.next().await {
                let broke = |_| {
                    let message = format!("the connection to {} broke", self.target);
                    PayloadError::Failed(BackendError::new(ErrorKind::Unavailable, "receive", message))
                };
                bytes.extend_from_slice(&chunk.map_err(broke)?);
                if bytes.len() > largest {
                    break;
                }
            }
        }
        if said > largest || bytes.len() > largest {
            return Err(malformed("its payload is larger than max_message"));
        }
        String::from_utf8(bytes).map_err(|_| malformed("its payload is not UTF-8"))
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), BackendError> {
        let result = self.client.delete_object().bucket(&*self.name).key(key).send().await;
        result.map(drop).map_err(|error| self.failed("receive", "s3:DeleteObject", &error))
    }

    /// None of these calls carries a message that would have arrived.
    fn failed<E>(
        &self,
        operation: &'static str,
        permission: &'static str,
        error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>,
    ) -> BackendError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        Call { operation, permission, target: &self.target, sends: false }.failed(error)
    }
}
