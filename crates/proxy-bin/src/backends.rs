//! The backends, wired in: with `config::backends` the only place that knows which are in this build.

use std::{sync::Arc, time::Duration};

use frontend_http::Routes;
use prometheus_client::registry::Registry;
use proxy_core::{
    backend::{Backend, Inbox},
    error::BackendError,
    id::InstanceId,
    operator::{Check, Mode, Policy, Report, Step},
};

use crate::config::BackendChoice;

/// What every backend is built with, beside its own settings.
#[derive(Debug)]
pub(crate) struct Parts<'registry> {
    /// Where received messages are handed over.
    pub(crate) inbox: Arc<dyn Inbox>,
    /// The process.
    pub(crate) instance: InstanceId,
    /// The longest that a request may take.
    #[cfg_attr(
        not(any(feature = "snssqs", feature = "sqs", feature = "streamable-http-webhook")),
        expect(dead_code, reason = "webhooks keep nothing that long")
    )]
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

/// The clients of AWS's services to use in the place of those that configuration and environment make.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clients {
    /// Those of this emulator.
    #[cfg(all(feature = "demo", any(feature = "snssqs", feature = "sqs")))]
    pub(crate) emulator: Option<Arc<testkit::emulator::Emulator>>,
}

#[cfg(feature = "demo")]
impl Clients {
    /// Those of this emulator, if there is one.
    pub(crate) fn of(emulator: Option<Arc<testkit::emulator::Emulator>>) -> Self {
        #[cfg(any(feature = "snssqs", feature = "sqs"))]
        let clients = Self { emulator };
        #[cfg(not(any(feature = "snssqs", feature = "sqs")))]
        let clients = {
            drop(emulator);
            Self {}
        };
        clients
    }
}

/// A client from the emulator's own method of this name, if there is an emulator.
#[cfg(any(feature = "snssqs", feature = "sqs"))]
macro_rules! client {
    ($clients:expr, $method:ident) => {{
        #[cfg(feature = "demo")]
        let client = $clients.emulator.as_ref().map(|emulator| emulator.$method());
        #[cfg(not(feature = "demo"))]
        let client = {
            let Clients {} = $clients;
            None
        };
        client
    }};
}

#[cfg(any(feature = "snssqs", feature = "sqs"))]
pub(crate) use client;

/// A backend, and what to say about it at start.
#[derive(Debug)]
pub(crate) struct Connected {
    /// The backend.
    pub(crate) backend: Arc<dyn Backend>,
    /// Where requests go. Settings with credentials in them are refused, so there is nothing to mask.
    pub(crate) requests: String,
    /// Where answers come from.
    pub(crate) answers: String,
    /// What it wants served on the front end's port.
    pub(crate) routes: Option<Routes>,
}

/// Connects the backend that was chosen.
pub(crate) async fn connect(choice: BackendChoice, parts: Parts<'_>) -> Result<Connected, BackendError> {
    match choice {
        #[cfg(feature = "sqs")]
        BackendChoice::Sqs(config) => sqs(*config, parts).await,
        #[cfg(feature = "snssqs")]
        BackendChoice::SnsSqs(config) => snssqs(*config, parts).await,
        #[cfg(feature = "webhook")]
        BackendChoice::Webhook(config) => webhook(*config, parts).await,
        #[cfg(feature = "streamable-http-webhook")]
        BackendChoice::StreamableHttpWebhook(config) => streamable_http_webhook(*config, parts).await,
    }
}

/// Checks the way to the far end and back.
pub(crate) async fn doctor(choice: &BackendChoice, report: Report<'_, Check>) {
    match choice {
        #[cfg(feature = "sqs")]
        BackendChoice::Sqs(config) => Box::pin(backend_sqs::doctor(config, None, report)).await,
        #[cfg(feature = "snssqs")]
        BackendChoice::SnsSqs(config) => Box::pin(backend_snssqs::doctor(config, None, report)).await,
        #[cfg(feature = "webhook")]
        BackendChoice::Webhook(config) => {
            Box::pin(backend_webhook::webhook::doctor(config, None, report)).await;
        }
        #[cfg(feature = "streamable-http-webhook")]
        BackendChoice::StreamableHttpWebhook(config) => {
            Box::pin(backend_webhook::streamable_http::doctor(config, None, report)).await;
        }
    }
}

/// Creates, shows or removes what the backend needs. Returns the policies that proxy and server need.
pub(crate) async fn provision(
    choice: &BackendChoice,
    mode: Mode,
    report: Report<'_, Step>,
) -> Result<Vec<Policy>, BackendError> {
    match choice {
        #[cfg(feature = "sqs")]
        BackendChoice::Sqs(config) => Box::pin(backend_sqs::provision(config, mode, None, report)).await,
        #[cfg(feature = "snssqs")]
        BackendChoice::SnsSqs(config) => {
            Box::pin(backend_snssqs::provision(config, mode, None, report)).await
        }
        #[cfg(feature = "webhook")]
        BackendChoice::Webhook(config) => backend_webhook::webhook::provision(config, mode, report).await,
        #[cfg(feature = "streamable-http-webhook")]
        BackendChoice::StreamableHttpWebhook(config) => {
            backend_webhook::streamable_http::provision(config, mode, report).await
        }
    }
}

#[cfg(feature = "sqs")]
async fn sqs(config: backend_sqs::SqsConfig, parts: Parts<'_>) -> Result<Connected, BackendError> {
    let Parts { inbox, instance, request_timeout_max, registry, clients } = parts;
    let client = client!(&clients, client);
    let parts = backend_sqs::SqsParts {
        inbox,
        instance,
        request_timeout_max,
        registry,
        client,
        large_payloads: None,
    };
    let requests = config.read_queue_url.clone();
    let backend = backend_sqs::SqsBackend::connect(config, parts).await?;
    let answers = backend.reply_queue_url().unwrap_or("a queue for each session").to_owned();
    Ok(Connected { backend: Arc::new(backend), requests, answers, routes: None })
}

#[cfg(feature = "snssqs")]
async fn snssqs(config: backend_snssqs::SnsSqsConfig, parts: Parts<'_>) -> Result<Connected, BackendError> {
    let Parts { inbox, instance, request_timeout_max, registry, clients } = parts;
    let (sns, sqs) = (client!(&clients, sns_client), client!(&clients, client));
    let parts = backend_snssqs::SnsSqsParts {
        inbox,
        instance,
        request_timeout_max,
        registry,
        sns,
        sqs,
        large_payloads: None,
    };
    let requests = config.sns_topic_arn.clone();
    let backend = backend_snssqs::SnsSqsBackend::connect(config, parts).await?;
    let answers = backend.reply_queue_url().to_owned();
    Ok(Connected { backend: Arc::new(backend), requests, answers, routes: None })
}

#[cfg(feature = "webhook")]
async fn webhook(
    config: backend_webhook::WebhookConfig,
    parts: Parts<'_>,
) -> Result<Connected, BackendError> {
    let Parts { inbox, instance, registry, .. } = parts;
    let parts = backend_webhook::WebhookParts { inbox, instance, registry, client: None, listener: None };
    let requests = config.server_url.clone();
    let answers = if config.webhook_url.is_empty() {
        format!("callbacks at {}", config.listen)
    } else {
        config.webhook_url.clone()
    };
    let share = config.share;
    let backend = backend_webhook::WebhookBackend::connect(config, parts).await?;
    let routes = share.then(|| backend.callback_routes());
    Ok(Connected { backend: Arc::new(backend), requests, answers, routes })
}

#[cfg(feature = "streamable-http-webhook")]
async fn streamable_http_webhook(
    config: backend_webhook::StreamableHttpConfig,
    parts: Parts<'_>,
) -> Result<Connected, BackendError> {
    let Parts { inbox, instance, request_timeout_max, registry, .. } = parts;
    let parts = backend_webhook::StreamableHttpParts {
        inbox,
        instance,
        request_timeout_max,
        registry,
        listener: None,
        tls: None,
    };
    let requests = config.server_url.clone();
    let answers = match &config.webhook_url {
        Some(url) if !url.is_empty() => format!("{requests} and {url}"),
        Some(_) => format!("{requests} and callbacks at {}", config.listen),
        None => requests.clone(),
    };
    let share = config.share;
    let backend = backend_webhook::StreamableHttpBackend::connect(config, parts).await?;
    let routes = if share { backend.callback_routes() } else { None };
    Ok(Connected { backend: Arc::new(backend), requests, answers, routes })
}
