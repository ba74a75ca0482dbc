//! What clients are made from: as in every AWS program, but with one place that retries, which is ours.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, Region,
    retry::RetryConfig,
    timeout::{TimeoutConfig, TimeoutConfigBuilder},
};
use aws_sdk_sqs::Client;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use proxy_core::error::{BackendError, ErrorKind};

pub use aws_config::SdkConfig;

/// How long a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one call may take, connecting included; polls have their wait on top of [`POLL_MARGIN`].
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// How much longer than its wait a poll may take.
const POLL_MARGIN: Duration = Duration::from_secs(15);

/// What clients are made from, beside the environment, the profile and the instance's role.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// An endpoint other than AWS's own, for emulators and VPC endpoints.
    pub endpoint_url: Option<String>,
    /// The region; left out, that in the URL or ARN of what is used, then the AWS default chain, then `us-east-1` where an endpoint is set.
    pub region: Option<String>,
}

/// Loads what every client of a process is made from: `Client::new(&loaded)` for SQS, SNS and STS alike. Nothing is called yet.
///
/// `used` is the URL of the queue, or the ARN of the topic or queue, that names the region where the settings do not.
///
/// # Errors
/// `Config` when no region can be found.
pub async fn load(settings: &ClientSettings, used: &str) -> Result<SdkConfig, BackendError> {
    let named = settings.region.clone().or_else(|| region_of(used).map(Into::into));
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(CALL_TIMEOUT);
    // the same cryptography as every other connection of the process
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts.build());
    if let Some(region) = named {
        loader = loader.region(Region::new(region));
    }
    if let Some(endpoint) = &settings.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    let shared = loader.load().await;
    if shared.region().is_some() {
        return Ok(shared);
    }
    if settings.endpoint_url.is_none() && shared.endpoint_url().is_none() {
        let message = "no AWS region is set: set `region`, AWS_REGION or one in the profile";
        return Err(BackendError::new(ErrorKind::Config, "start", message));
    }
    Ok(shared.into_builder().region(Region::new("us-east-1")).build())
}

/// The same client without retries of its own, since the SDK would send again what may have arrived; and where it would wait for
/// an answer for ever, with the timeout that ours has.
pub fn without_retries(client: &Client) -> Client {
    let own = client.config().timeout_config();
    let mut timeouts = timeouts_of(client);
    if own.is_none_or(|own| own.operation_attempt_timeout().or(own.operation_timeout()).is_none()) {
        timeouts = timeouts.operation_attempt_timeout(CALL_TIMEOUT);
    }
    let config = client.config().to_builder().retry_config(RetryConfig::disabled());
    Client::from_conf(config.timeout_config(timeouts.build()).build())
}

/// The same client for polls of this length.
pub fn for_polls(client: &Client, wait_time: Duration) -> Client {
    let longest = wait_time + POLL_MARGIN;
    let timeouts = timeouts_of(client)
        .operation_attempt_timeout(longest)
        .operation_timeout(longest)
        .read_timeout(longest);
    Client::from_conf(client.config().to_builder().timeout_config(timeouts.build()).build())
}

fn timeouts_of(client: &Client) -> TimeoutConfigBuilder {
    client.config().timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder)
}

/// The region in a queue's URL, as AWS builds them: `https://sqs.{region}.amazonaws.com[.cn]/{account}/{name}`, or in an ARN.
pub fn region_of(used: &str) -> Option<&str> {
    if let Some(arn) = used.strip_prefix("arn:") {
        return arn.split(':').nth(2).filter(|region| !region.is_empty());
    }
    let host = used.strip_prefix("https://")?.split('/').next()?;
    let (region, domain) = host.strip_prefix("sqs.")?.split_once('.')?;
    matches!(domain, "amazonaws.com" | "amazonaws.com.cn").then_some(region)
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::config::Config;

    use super::*;

    fn own_client(timeouts: Option<TimeoutConfig>) -> Client {
        let config = Config::builder().behavior_version(BehaviorVersion::latest());
        let mut config = config.region(Region::new("us-east-1"));
        config.set_timeout_config(timeouts);
        Client::from_conf(config.build())
    }

    fn call_timeout(client: &Client) -> Option<Duration> {
        client.config().timeout_config().and_then(TimeoutConfig::operation_attempt_timeout)
    }

    #[test]
    fn a_callers_own_client_does_not_wait_for_ever() {
        assert_eq!(call_timeout(&without_retries(&own_client(None))), Some(CALL_TIMEOUT));
        let own = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(3)).build();
        assert_eq!(call_timeout(&without_retries(&own_client(Some(own)))), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_queue_url_of_aws_and_an_arn_name_their_region() {
        assert_eq!(region_of("arn:aws:sns:eu-west-1:123456789012:requests"), Some("eu-west-1"));
        assert_eq!(region_of("arn:aws:sns"), None);
        assert_eq!(region_of("https://sqs.eu-west-1.amazonaws.com/1/requests"), Some("eu-west-1"));
        assert_eq!(region_of("https://sqs.cn-north-1.amazonaws.com.cn/1/requests"), Some("cn-north-1"));
        assert_eq!(region_of("http://127.0.0.1:4566/1/requests"), None);
        assert_eq!(region_of("https://sqs.example.com/1/requests"), None);
    }
}
