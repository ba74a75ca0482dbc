//! The tables of the intakes: the same transports as the backends, seen from the worker.

use proxy_core::config::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::within;

/// The tables `[intake.…]`: one for each backend of this build.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct IntakeTables {
    /// Requests from an SQS queue.
    #[cfg(feature = "sqs")]
    pub sqs: Option<backend_sqs::SqsIntakeConfig>,
    /// Requests from an SQS queue that is subscribed to a topic, answers to a topic.
    #[cfg(feature = "snssqs")]
    pub snssqs: Option<backend_snssqs::SnsSqsIntakeConfig>,
    /// Requests over HTTP, answers by callback.
    #[cfg(feature = "webhook")]
    pub webhook: Option<backend_webhook::WebhookIntakeConfig>,
    /// Requests over Streamable HTTP, answers there or by callback.
    #[cfg(feature = "streamable-http-webhook")]
    pub streamable_http_webhook: Option<backend_webhook::StreamableHttpIntakeConfig>,
}

/// The settings of the intake to use.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum IntakeChoice {
    /// Requests from an SQS queue.
    #[cfg(feature = "sqs")]
    Sqs(Box<backend_sqs::SqsIntakeConfig>),
    /// Requests from an SQS queue that is subscribed to a topic, answers to a topic.
    #[cfg(feature = "snssqs")]
    SnsSqs(Box<backend_snssqs::SnsSqsIntakeConfig>),
    /// Requests over HTTP, answers by callback.
    #[cfg(feature = "webhook")]
    Webhook(Box<backend_webhook::WebhookIntakeConfig>),
    /// Requests over Streamable HTTP, answers there or by callback.
    #[cfg(feature = "streamable-http-webhook")]
    StreamableHttpWebhook(Box<backend_webhook::StreamableHttpIntakeConfig>),
}

impl IntakeTables {
    /// What each table needs at least.
    const REQUIRED: &[&str] = &[
        #[cfg(feature = "sqs")]
        "[intake.sqs] with queue_url",
        #[cfg(feature = "snssqs")]
        "[intake.snssqs] with queue_url",
        #[cfg(feature = "webhook")]
        "[intake.webhook]",
        #[cfg(feature = "streamable-http-webhook")]
        "[intake.streamable_http_webhook]",
    ];

    /// What to write where there is no table.
    pub(super) fn remedy() -> String {
        format!(
            "write one of these tables into a file that --config names, or name one with --backend: {}",
            Self::REQUIRED.join(", ")
        )
    }

    /// A table for each intake, with what is default.
    pub(super) fn all_given() -> Self {
        Self {
            #[cfg(feature = "sqs")]
            sqs: Some(backend_sqs::SqsIntakeConfig::default()),
            #[cfg(feature = "snssqs")]
            snssqs: Some(backend_snssqs::SnsSqsIntakeConfig::default()),
            #[cfg(feature = "webhook")]
            webhook: Some(backend_webhook::WebhookIntakeConfig::default()),
            #[cfg(feature = "streamable-http-webhook")]
            streamable_http_webhook: Some(backend_webhook::StreamableHttpIntakeConfig::default()),
        }
    }

    /// The tables that are there, by the names of their backends.
    pub(super) fn given(&self) -> Vec<(&'static str, IntakeChoice)> {
        let mut given = Vec::new();
        #[cfg(feature = "sqs")]
        given.extend(self.sqs.clone().map(|config| ("sqs", IntakeChoice::Sqs(Box::new(config)))));
        #[cfg(feature = "snssqs")]
        given.extend(self.snssqs.clone().map(|config| ("snssqs", IntakeChoice::SnsSqs(Box::new(config)))));
        #[cfg(feature = "webhook")]
        given.extend(self.webhook.clone().map(|config| ("webhook", IntakeChoice::Webhook(Box::new(config)))));
        #[cfg(feature = "streamable-http-webhook")]
        given.extend(self.streamable_http_webhook.clone().map(|config| {
            ("streamable-http-webhook", IntakeChoice::StreamableHttpWebhook(Box::new(config)))
        }));
        given
    }
}

impl IntakeChoice {
    /// The transport's name, as that of its feature.
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

    /// Where requests come in, for people, and for telling one worker's ledger from another's.
    pub fn address(&self) -> String {
        match self {
            #[cfg(feature = "sqs")]
            Self::Sqs(config) => config.queue_url.clone(),
            #[cfg(feature = "snssqs")]
            Self::SnsSqs(config) => config.queue_url.clone(),
            #[cfg(feature = "webhook")]
            Self::Webhook(config) => config.listen.to_string(),
            #[cfg(feature = "streamable-http-webhook")]
            Self::StreamableHttpWebhook(config) => config.listen.to_string(),
        }
    }

    /// Whether there are addresses near by that answers may go to where nothing is configured, beside those of this machine.
    pub(crate) fn has_neighbourhood(&self) -> bool {
        match self {
            #[cfg(feature = "sqs")]
            Self::Sqs(_) => true,
            #[cfg(feature = "snssqs")]
            Self::SnsSqs(_) => true,
            #[cfg(feature = "webhook")]
            Self::Webhook(_) => false,
            #[cfg(feature = "streamable-http-webhook")]
            Self::StreamableHttpWebhook(_) => false,
        }
    }

    pub(super) fn validate(&self) -> Vec<Problem> {
        match self {
            #[cfg(feature = "sqs")]
            Self::Sqs(config) => within("intake.sqs", config.validate()),
            #[cfg(feature = "snssqs")]
            Self::SnsSqs(config) => within("intake.snssqs", config.validate()),
            #[cfg(feature = "webhook")]
            Self::Webhook(config) => within("intake.webhook", config.validate()),
            #[cfg(feature = "streamable-http-webhook")]
            Self::StreamableHttpWebhook(config) => {
                within("intake.streamable_http_webhook", config.validate())
            }
        }
    }
}
