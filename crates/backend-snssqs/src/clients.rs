//! The clients of both services.

use std::time::Duration;

use aws_common::client::{self, ClientSettings};
use aws_sdk_sns::config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sqs::config::Region;
use proxy_core::error::BackendError;

use crate::{config::SnsSqsConfig, intake::SnsSqsIntakeConfig};

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
        let endpoint_url = &config.endpoint_url;
        let topics = ClientSettings { endpoint_url: endpoint_url.clone(), region: None };
        Ok(Self {
            sns: sns_client(sns, &topics, &config.sns_topic_arn).await?,
            sqs: sqs_client(sqs, &config.queue_settings(), &config.response_topic_arn).await?,
        })
    }

    /// The same for the worker: both in the region of the queue.
    pub(crate) async fn of_intake(
        config: &SnsSqsIntakeConfig,
        sns: Option<&aws_sdk_sns::Client>,
        sqs: Option<&aws_sdk_sqs::Client>,
    ) -> Result<Self, BackendError> {
        let settings = config.client_settings();
        Ok(Self {
            sns: sns_client(sns, &settings, &config.queue_url).await?,
            sqs: sqs_client(sqs, &settings, &config.queue_url).await?,
        })
    }

    /// A client for queues in the region of the topic or queue with this ARN.
    pub(crate) fn sqs_beside(&self, arn: &str) -> aws_sdk_sqs::Client {
        let region = client::region_of(arn).map(|region| Region::new(region.to_owned()));
        let mut config = self.sqs.config().to_builder();
        config.set_region(region.or_else(|| self.sqs.config().region().cloned()));
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// A client for the topic with this ARN, in its region.
    pub(crate) fn sns_for(&self, arn: &str) -> aws_sdk_sns::Client {
        let named = client::region_of(arn);
        if named.is_none() || named == self.sns.config().region().map(AsRef::as_ref) {
            return self.sns.clone();
        }
        let mut config = self.sns.config().to_builder();
        config.set_region(named.map(|region| aws_sdk_sns::config::Region::new(region.to_owned())));
        aws_sdk_sns::Client::from_conf(config.build())
    }
}

async fn sns_client(
    own: Option<&aws_sdk_sns::Client>,
    settings: &ClientSettings,
    used: &str,
) -> Result<aws_sdk_sns::Client, BackendError> {
    match own {
        Some(own) => Ok(without_retries(own)),
        None => Ok(aws_sdk_sns::Client::new(&client::load(settings, used).await?)),
    }
}

async fn sqs_client(
    own: Option<&aws_sdk_sqs::Client>,
    settings: &ClientSettings,
    used: &str,
) -> Result<aws_sdk_sqs::Client, BackendError> {
    match own {
        Some(own) => Ok(client::without_retries(own)),
        None => Ok(aws_sdk_sqs::Client::new(&client::load(settings, used).await?)),
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
