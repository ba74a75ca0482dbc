//! The intakes, wired in: the backends' other ends.

use std::{sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use proxy_core::{
    error::BackendError,
    id::InstanceId,
    intake::Intake,
    operator::{Check, Mode, Policy, Report, Step},
};

use worker::WorkerConfig;

#[cfg(any(feature = "snssqs", feature = "sqs"))]
use crate::backends::client;
use crate::{backends::Clients, config::IntakeChoice};

/// What every intake is built with, beside its own settings.
#[derive(Debug)]
pub(crate) struct Parts<'registry> {
    /// The worker, by the id that its ledger keeps.
    pub(crate) instance: InstanceId,
    /// Whether no other worker takes requests from the same place.
    #[cfg_attr(
        not(any(feature = "snssqs", feature = "sqs")),
        expect(dead_code, reason = "it is one by its address")
    )]
    pub(crate) sole: bool,
    /// The longest that a request may take.
    pub(crate) request_timeout_max: Duration,
    /// Where metrics are registered.
    pub(crate) registry: &'registry mut Registry,
    /// The clients of AWS's services.
    #[cfg_attr(
        not(any(feature = "snssqs", feature = "sqs")),
        expect(dead_code, reason = "webhooks have nothing to do with AWS")
    )]
    pub(crate) clients: Clients,
}

/// Connects the intake that was chosen.
pub(crate) async fn connect(choice: IntakeChoice, parts: Parts<'_>) -> Result<Arc<dyn Intake>, BackendError> {
    match choice {
        #[cfg(feature = "sqs")]
        IntakeChoice::Sqs(config) => {
            let Parts { instance, sole, request_timeout_max, registry, clients } = parts;
            let client = client!(&clients, client);
            let parts = backend_sqs::SqsIntakeParts {
                instance,
                sole,
                request_timeout_max,
                registry,
                client,
                large_payloads: None,
            };
            Ok(Arc::new(backend_sqs::SqsIntake::connect(*config, parts).await?))
        }
        #[cfg(feature = "snssqs")]
        IntakeChoice::SnsSqs(config) => {
            let Parts { instance, sole, request_timeout_max, registry, clients } = parts;
            let (sns, sqs) = (client!(&clients, sns_client), client!(&clients, client));
            let parts = backend_snssqs::SnsSqsIntakeParts {
                instance,
                sole,
                request_timeout_max,
                registry,
                sns,
                sqs,
                large_payloads: None,
            };
            Ok(Arc::new(backend_snssqs::SnsSqsIntake::connect(*config, parts).await?))
        }
        #[cfg(feature = "webhook")]
        IntakeChoice::Webhook(config) => {
            let Parts { instance, request_timeout_max, registry, .. } = parts;
            let parts = backend_webhook::WebhookIntakeParts {
                instance,
                request_timeout_max,
                registry,
                listener: None,
                client: None,
            };
            Ok(Arc::new(backend_webhook::WebhookIntake::connect(*config, parts).await?))
        }
        #[cfg(feature = "streamable-http-webhook")]
        IntakeChoice::StreamableHttpWebhook(config) => {
            let Parts { instance, request_timeout_max, registry, .. } = parts;
            let parts = backend_webhook::StreamableHttpIntakeParts {
                instance,
                request_timeout_max,
                registry,
                listener: None,
                client: None,
            };
            Ok(Arc::new(backend_webhook::StreamableHttpIntake::connect(*config, parts).await?))
        }
    }
}

/// Checks the way that requests come by.
#[cfg_attr(
    not(any(feature = "snssqs", feature = "sqs")),
    expect(unused_variables, reason = "webhooks have no use for it")
)]
pub(crate) async fn doctor(choice: &IntakeChoice, worker: &WorkerConfig, report: Report<'_, Check>) {
    match choice {
        #[cfg(feature = "sqs")]
        IntakeChoice::Sqs(config) => {
            let (max_receives, sole) = (worker.max_receives, worker.sole);
            Box::pin(backend_sqs::intake_doctor(config, max_receives, sole, None, report)).await;
        }
        #[cfg(feature = "snssqs")]
        IntakeChoice::SnsSqs(config) => {
            let (max_receives, sole) = (worker.max_receives, worker.sole);
            Box::pin(backend_snssqs::intake_doctor(config, max_receives, sole, None, report)).await;
        }
        #[cfg(feature = "webhook")]
        IntakeChoice::Webhook(config) => {
            Box::pin(backend_webhook::webhook::intake_doctor(config, None, report)).await;
        }
        #[cfg(feature = "streamable-http-webhook")]
        IntakeChoice::StreamableHttpWebhook(config) => {
            Box::pin(backend_webhook::streamable_http::intake_doctor(config, None, report)).await;
        }
    }
}

/// Creates, shows or removes what the intake needs. Returns the policies that worker and proxy need.
#[cfg_attr(
    not(any(feature = "snssqs", feature = "sqs")),
    expect(unused_variables, reason = "webhooks have no use for it")
)]
pub(crate) async fn provision(
    choice: &IntakeChoice,
    worker: &WorkerConfig,
    mode: Mode,
    report: Report<'_, Step>,
) -> Result<Vec<Policy>, BackendError> {
    match choice {
        #[cfg(feature = "sqs")]
        IntakeChoice::Sqs(config) => {
            Box::pin(backend_sqs::intake_provision(config, worker.max_receives, mode, None, report)).await
        }
        #[cfg(feature = "snssqs")]
        IntakeChoice::SnsSqs(config) => {
            Box::pin(backend_snssqs::intake_provision(config, worker.max_receives, mode, None, report)).await
        }
        #[cfg(feature = "webhook")]
        IntakeChoice::Webhook(config) => {
            backend_webhook::webhook::intake_provision(config, mode, report).await
        }
        #[cfg(feature = "streamable-http-webhook")]
        IntakeChoice::StreamableHttpWebhook(config) => {
            backend_webhook::streamable_http::intake_provision(config, mode, report).await
        }
    }
}
