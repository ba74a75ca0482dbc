//! The clients of both services.

use std::time::Duration;

use aws_common::client::{self, ClientSettings};
use aws_sdk_sns::config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sqs::config::Region;
use proxy_core::error::BackendError;

use crate::config::SnsSqsConfig;

/// How long one call of a caller's own client may take that says nothing of it.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A client of each service.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
}

impl Clients {
    /// The caller's, or those that the configuration and the environment say. Topics are in the region that their ARNs name, the
    /// queue in that of the configuration, of its URL or of the topics.
    pub(crate) async fn of(
        config: &SnsSqsConfig,
        sns: Option<&aws_sdk_sns::Client>,
        sqs: Option<&aws_sdk_sqs::Client>,
    ) -> Result<Self, BackendError> {
        let settings = |region: Option<&str>| ClientSettings {
            endpoint_url: config.endpoint_url.clone(),
            region: region.map(Into::into),
        };
        let sns = if let Some(own) = sns {
            without_retries(own)
        } else {
            aws_sdk_sns::Client::new(&client::load(&settings(None), &config.sns_topic_arn).await?)
        };
        let sqs = if let Some(own) = sqs {
            client::without_retries(own)
        } else {
            let region = config.reply_queue_region();
            let loaded = client::load(&settings(region), &config.response_topic_arn).await?;
            aws_sdk_sqs::Client::new(&loaded)
        };
        Ok(Self { sns, sqs })
    }

    /// A client for queues in the region of the topic or queue with this ARN.
    pub(crate) fn sqs_beside(&self, arn: &str) -> aws_sdk_sqs::Client {
        let region = client::region_of(arn).map(|region| Region::new(region.to_owned()));
        let mut config = self.sqs.config().to_builder();
        config.set_region(region.or_else(|| self.sqs.config().region().cloned()));
        aws_sdk_sqs::Client::from_conf(config.build())
    }
}

/// The same client without retries of its own, since the SDK would send again what may have arrived; and where it would wait for
/// an answer for ever, with a timeout.
fn without_retries(client: &aws_sdk_sns::Client) -> aws_sdk_sns::Client {
    let own = client.config().timeout_config();
    let mut timeouts = own.map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    if own.is_none_or(|own| own.operation_attempt_timeout().or(own.operation_timeout()).is_none()) {
        timeouts = timeouts.operation_attempt_timeout(CALL_TIMEOUT);
    }
    let config = client.config().to_builder().retry_config(RetryConfig::disabled());
    aws_sdk_sns::Client::from_conf(config.timeout_config(timeouts.build()).build())
}
