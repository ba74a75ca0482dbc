//! The backends, wired in: the only place that knows them all.

use std::{sync::Arc, time::Duration};

use frontend_http::Routes;
use prometheus_client::registry::Registry;
use proxy_core::{
    backend::{Backend, Inbox},
    error::BackendError,
    id::InstanceId,
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
    pub(crate) request_timeout_max: Duration,
    /// Where metrics are registered.
    pub(crate) registry: &'registry mut Registry,
}

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
        BackendChoice::Sqs(config) => {
            let Parts { inbox, instance, request_timeout_max, registry } = parts;
            let parts =
                backend_sqs::SqsParts { inbox, instance, request_timeout_max, registry, client: None };
            let requests = config.read_queue_url.clone();
            let backend = backend_sqs::SqsBackend::connect(config, parts).await?;
            let answers = backend.reply_queue_url().unwrap_or("a queue for each session").to_owned();
            Ok(Connected { backend: Arc::new(backend), requests, answers, routes: None })
        }
    }
}
