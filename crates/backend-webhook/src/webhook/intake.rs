//! The intake: requests come in by POST, and everything that goes back is posted to the URL that the client named.

pub(crate) mod config;
mod doctor;
mod endpoint;
mod provision;
mod receipt;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use proxy_core::{
    ReplyAddress,
    backend::Limits,
    config::refuse_problems,
    error::{BackendError, ErrorKind},
    id::{InstanceId, RemoteSession},
    intake::{Arrival, Desk, Intake, Reply, ReplyTo, Stopping},
};
use tokio::{net::TcpListener, time::Instant};

use self::{config::WebhookIntakeConfig, endpoint::Endpoint};
use super::request::name;
use crate::{
    config::parsed_headers,
    http_client::HttpClient,
    intake::{Callbacks, Door, IntakeMetrics, Listening, Posted, Reception, Settling, too_large},
};

pub use self::{doctor::intake_doctor, provision::intake_provision};

/// Its name in the configuration and in metrics.
const NAME: &str = "webhook";

/// What an intake is built with, beside its configuration.
#[derive(Debug)]
pub struct WebhookIntakeParts<'registry> {
    /// The process.
    pub instance: InstanceId,
    /// The longest that a request may take: no callback is tried for longer.
    pub request_timeout_max: Duration,
    /// Where the metrics are registered; the names are complete, so it has no prefix of its own.
    pub registry: &'registry mut Registry,
    /// A listener of the caller's own, in the place of one bound to `listen`.
    pub listener: Option<TcpListener>,
    /// A client of the caller's own, for certificates or a proxy of his, in the place of one made here. It must follow no redirects: they
    /// would lead past the addresses that may be written to.
    pub client: Option<reqwest::Client>,
}

/// The worker's end of asyncmcp's webhook transport.
///
/// Keeps nothing for a session.
#[derive(Debug)]
pub struct WebhookIntake {
    path: Box<str>,
    address: SocketAddr,
    listening: Listening,
    door: Arc<Door>,
    callbacks: Callbacks,
    settling: Arc<Settling>,
    metrics: IntakeMetrics,
    limits: Limits,
    longest: Duration,
}

impl WebhookIntake {
    /// Begins to listen: what connects before [`run`](Intake::run) waits.
    ///
    /// # Errors
    /// `Config` names the setting, such as an address that cannot be listened on.
    pub async fn connect(
        config: WebhookIntakeConfig,
        parts: WebhookIntakeParts<'_>,
    ) -> Result<Self, BackendError> {
        refuse_problems("start", &config.validate())?;
        let WebhookIntakeParts { instance, request_timeout_max, registry, listener, client } = parts;
        let settings = config.settings();
        let metrics = IntakeMetrics::new(NAME, registry);
        let client = HttpClient::new(config.timeout, parsed_headers(&config.headers), client)?;
        let (listening, address) = Listening::begin(&settings, listener).await?;
        tracing::debug!(?instance, %address, "requests are taken over HTTP");
        Ok(Self {
            door: Arc::new(Door::new(&settings, address.ip())),
            callbacks: Callbacks::new(client, name::SESSION_ID, metrics.transport.clone()),
            settling: Arc::new(Settling::new(metrics.clone())),
            limits: Limits { message_bytes: config.max_message },
            path: config.path.into(),
            longest: request_timeout_max,
            address,
            listening,
            metrics,
        })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    async fn post(&self, reply: &Reply) -> Result<(), BackendError> {
        too_large(&reply.message, self.limits)?;
        let to = reply.request.as_ref().unwrap_or(&reply.to);
        let ReplyTo::Address(ReplyAddress::Url(url)) = to else {
            let message = "the answer has no URL that it could be posted to";
            return Err(BackendError::new(ErrorKind::Protocol, "reply", message));
        };
        let posted = Posted {
            url,
            session: reply.session.as_ref(),
            context: reply.context.as_ref(),
            message: &reply.message,
            deadline: reply.deadline.min(Instant::now() + self.longest),
        };
        self.callbacks.deliver(&posted).await
    }
}

#[async_trait]
impl Intake for WebhookIntake {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn has_receipts(&self) -> bool {
        true
    }

    fn neighbourhood(&self) -> Vec<String> {
        Vec::new()
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.settling.check()
    }

    async fn run(&self, desk: Arc<dyn Desk>, stopping: Stopping) -> Result<(), BackendError> {
        let endpoint = Endpoint {
            reception: Reception {
                desk,
                door: Arc::clone(&self.door),
                settling: Arc::clone(&self.settling),
                metrics: self.metrics.clone(),
            },
        };
        self.listening.serve(endpoint::router(endpoint, &self.path), stopping.stop).await?;
        self.settling.end().await;
        Ok(())
    }

    #[tracing::instrument(name = "intake.reply", level = "debug", skip_all, fields(messaging.system = "webhook", messaging.operation.type = "send"))]
    async fn reply(&self, reply: Reply) -> Result<(), BackendError> {
        let started = Instant::now();
        let result = self.post(&reply).await;
        self.metrics.transport.sent(result.as_ref().copied(), started.elapsed());
        result
    }

    async fn forward(&self, _owner: &str, _arrival: &Arrival) -> Result<(), BackendError> {
        Err(crate::intake::no_other_worker())
    }

    async fn close(&self, _session: &RemoteSession) {}
}
