//! SDK clients for an emulator.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};

/// A client of the SQS at `endpoint_url`, signing as `access_key`, without retries: an injected failure shows.
///
/// The access key id is what [`Calls`](super::Calls) tells callers apart by.
pub fn client_for(endpoint_url: &str, access_key: &str) -> Client {
    let credentials = Credentials::new(access_key, "secret", None, None, "testkit");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .endpoint_url(endpoint_url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

/// A client of the SNS at `endpoint_url`, otherwise as [`client_for`].
pub fn sns_client_for(endpoint_url: &str, access_key: &str) -> aws_sdk_sns::Client {
    let credentials = Credentials::new(access_key, "secret", None, None, "testkit");
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .endpoint_url(endpoint_url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled());
    aws_sdk_sns::Client::from_conf(config.build())
}
