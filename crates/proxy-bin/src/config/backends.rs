//! The tables of the backends, and the choice between them: one of the two places that know which are in this build.

use proxy_core::config::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::within;

#[cfg(not(any(
    feature = "snssqs",
    feature = "sqs",
    feature = "streamable-http-webhook",
    feature = "webhook"
)))]
compile_error!("proxy-bin needs at least one backend: build it with `--features sqs`, say");

/// The tables `[backend.…]`: one for each backend of this build.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BackendTables {
    /// Requests and answers over SQS queues.
    #[cfg(feature = "sqs")]
    pub sqs: Option<backend_sqs::SqsConfig>,
    /// Requests over an SNS topic, answers over another one and an SQS queue.
    #[cfg(feature = "snssqs")]
    pub snssqs: Option<backend_snssqs::SnsSqsConfig>,
    /// Requests over HTTP, answers by callback.
    #[cfg(feature = "webhook")]
    pub webhook: Option<backend_webhook::WebhookConfig>,
    /// Requests over Streamable HTTP, answers there or by callback.
    #[cfg(feature = "streamable-http-webhook")]
    pub streamable_http_webhook: Option<backend_webhook::StreamableHttpConfig>,
}

/// The settings of the backend to use.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BackendChoice {
    /// Requests and answers over SQS queues.
    #[cfg(feature = "sqs")]
    Sqs(Box<backend_sqs::SqsConfig>),
    /// Requests over an SNS topic, answers over another one and an SQS queue.
    #[cfg(feature = "snssqs")]
    SnsSqs(Box<backend_snssqs::SnsSqsConfig>),
    /// Requests over HTTP, answers by callback.
    #[cfg(feature = "webhook")]
    Webhook(Box<backend_webhook::WebhookConfig>),
    /// Requests over Streamable HTTP, answers there or by callback.
    #[cfg(feature = "streamable-http-webhook")]
    StreamableHttpWebhook(Box<backend_webhook::StreamableHttpConfig>),
}

impl BackendTables {
    /// The backends of this build, by the names of their features.
    pub const NAMES: &[&str] = &[
        #[cfg(feature = "sqs")]
        "sqs",
        #[cfg(feature = "snssqs")]
        "snssqs",
        #[cfg(feature = "webhook")]
        "webhook",
        #[cfg(feature = "streamable-http-webhook")]
        "streamable-http-webhook",
    ];

    /// What each table needs at least.
    const REQUIRED: &[&str] = &[
        #[cfg(feature = "sqs")]
        "[backend.sqs] with read_queue_url",
        #[cfg(feature = "snssqs")]
        "[backend.snssqs] with sns_topic_arn and response_topic_arn",
        #[cfg(feature = "webhook")]
        "[backend.webhook] with server_url",
        #[cfg(feature = "streamable-http-webhook")]
        "[backend.streamable_http_webhook] with server_url",
    ];

    /// What to write where there is no table.
    pub(super) fn remedy() -> String {
        format!("write one of these tables into a file that --config names: {}", Self::REQUIRED.join(", "))
    }

    /// A table for each backend, with what is default.
    pub(super) fn all_given() -> Self {
        Self {
            #[cfg(feature = "sqs")]
            sqs: Some(backend_sqs::SqsConfig::default()),
            #[cfg(feature = "snssqs")]
            snssqs: Some(backend_snssqs::SnsSqsConfig::default()),
            #[cfg(feature = "webhook")]
            webhook: Some(backend_webhook::WebhookConfig::default()),
            #[cfg(feature = "streamable-http-webhook")]
            streamable_http_webhook: Some(backend_webhook::StreamableHttpConfig::default()),
        }
    }

    /// The tables that are there, by the names of their backends.
    pub(super) fn given(&self) -> Vec<(&'static str, BackendChoice)> {
        let mut given = Vec::new();
        #[cfg(feature = "sqs")]
        given.extend(self.sqs.clone().map(|config| ("sqs", BackendChoice::Sqs(Box::new(config)))));
        #[cfg(feature = "snssqs")]
        given.extend(self.snssqs.clone().map(|config| ("snssqs", BackendChoice::SnsSqs(Box::new(config)))));
        #[cfg(feature = "webhook")]
        given
            .extend(self.webhook.clone().map(|config| ("webhook", BackendChoice::Webhook(Box::new(config)))));
        #[cfg(feature = "streamable-http-webhook")]
        given.extend(self.streamable_http_webhook.clone().map(|config| {
            ("streamable-http-webhook", BackendChoice::StreamableHttpWebhook(Box::new(config)))
        }));
        given
    }
}

impl BackendChoice {
    /// The backend's name, as that of its feature.
    pub fn name(&self) -> &'static str {
        match self {
            #[cfg(feature = "sqs")]
            Self::Sqs(_) => "sqs",
            #[cfg(feature = "snssqs")]
            Self::SnsSqs(_) => "snssqs",
            #[cfg(feature = "webhook")]
            Self::Webhook(_) => "webhook",
            #[cfg(feature = "streamable-http-webhook")]
            Self::StreamableHttpWebhook(_) => "streamable-http-webhook",
        }
    }

    /// Whether callbacks are to come to the proxy's own port.
    pub fn shares_port(&self) -> bool {
        match self {
            #[cfg(feature = "sqs")]
            Self::Sqs(_) => false,
            #[cfg(feature = "snssqs")]
            Self::SnsSqs(_) => false,
            #[cfg(feature = "webhook")]
            Self::Webhook(config) => config.share,
            #[cfg(feature = "streamable-http-webhook")]
            Self::StreamableHttpWebhook(config) => config.share && config.webhook_url.is_some(),
        }
    }

    pub(super) fn validate(&self) -> Vec<Problem> {
        match self {
            #[cfg(feature = "sqs")]
            Self::Sqs(config) => within("backend.sqs", config.validate()),
            #[cfg(feature = "snssqs")]
            Self::SnsSqs(config) => within("backend.snssqs", config.validate()),
            #[cfg(feature = "webhook")]
            Self::Webhook(config) => within("backend.webhook", config.validate()),
            #[cfg(feature = "streamable-http-webhook")]
            Self::StreamableHttpWebhook(config) => {
                within("backend.streamable_http_webhook", config.validate())
            }
        }
    }
}
