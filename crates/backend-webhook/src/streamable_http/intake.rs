//! The intake: an MCP endpoint over Streamable HTTP, which posts the answers of some tools to the client's webhook.
//!
//! To read it: `endpoint` and `post` (what comes in), then `replies` (what goes back), over `responses`, `sessions` and `streams`.

pub(crate) mod config;
mod doctor;
mod endpoint;
mod post;
mod provision;
mod replies;
mod responses;
mod sessions;
mod sse;
mod streams;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use proxy_core::{
    backend::Limits,
    config::refuse_problems,
    error::BackendError,
    id::{InstanceId, RemoteSession},
    intake::{Arrival, Desk, Intake, Reply, Stopping},
};
use tokio::{net::TcpListener, time::Instant};

use self::{
    config::StreamableHttpIntakeConfig,
    endpoint::{Endpoint, Manner},
    replies::Replies,
    responses::Responses,
    sessions::Sessions,
};
use super::requests::MCP_SESSION_ID;
use crate::{
    config::parsed_headers,
    http_client::HttpClient,
    intake::{Callbacks, Door, IntakeMetrics, Listening, Reception, Settling, no_other_worker},
};

pub use self::{doctor::intake_doctor, provision::intake_provision};

/// Its name in the configuration and in metrics.
const NAME: &str = "streamable-http-webhook";

/// How much longer than a request may take its response is kept open, so that the answer that says so still goes on it.
const SLACK: Duration = Duration::from_mins(1);

/// What an intake is built with, beside its configuration.
#[derive(Debug)]
pub struct StreamableHttpIntakeParts<'registry> {
    /// The process.
    pub instance: InstanceId,
    /// The longest that a request may take: no response is kept open for much longer, and no callback tried.
    pub request_timeout_max: Duration,
    /// Where the metrics are registered; the names are complete, so it has no prefix of its own.
    pub registry: &'registry mut Registry,
    /// A listener of the caller's own, in the place of one bound to `listen`.
    pub listener: Option<TcpListener>,
    /// A client of the caller's own for callbacks, for certificates or a proxy of his, in the place of one made here. It must follow no
    /// redirects: they would lead past the addresses that may be written to.
    pub client: Option<reqwest::Client>,
}

/// The worker's end of asyncmcp's StreamableHTTP+webhook transport, and of any Streamable HTTP client.
#[derive(Debug)]
pub struct StreamableHttpIntake {
    path: Box<str>,
    address: SocketAddr,
    listening: Listening,
    door: Arc<Door>,
    manner: Arc<Manner>,
    replies: Replies,
    settling: Arc<Settling>,
    metrics: IntakeMetrics,
}

impl StreamableHttpIntake {
    /// Begins to listen: what connects before [`run`](Intake::run) waits.
    ///
    /// # Errors
    /// `Config` names the setting, such as an address that cannot be listened on.
    pub async fn connect(
        config: StreamableHttpIntakeConfig,
        parts: StreamableHttpIntakeParts<'_>,
    ) -> Result<Self, BackendError> {
        refuse_problems("start", &config.validate())?;
        let StreamableHttpIntakeParts { instance, request_timeout_max, registry, listener, client } = parts;
        let settings = config.settings();
        let metrics = IntakeMetrics::new(NAME, registry);
        let client = HttpClient::new(config.timeout, parsed_headers(&config.headers), client)?;
        let (listening, address) = Listening::begin(&settings, listener).await?;
        tracing::debug!(?instance, %address, "requests are taken over Streamable HTTP");
        let replies = Replies {
            responses: Arc::new(Responses::default()),
            sessions: Arc::new(Sessions::default()),
            callbacks: Callbacks::new(client, MCP_SESSION_ID, metrics.transport.clone()),
            limits: Limits { message_bytes: config.max_message },
            longest: request_timeout_max,
            json: config.json_response,
        };
        Ok(Self {
            door: Arc::new(Door::new(&settings, address.ip())),
            settling: Arc::new(Settling::new(metrics.clone())),
            path: config.path.as_str().into(),
            manner: Arc::new(Manner {
                webhook_tools: config.webhook_tools.into_iter().collect(),
                json: config.json_response,
                keep_alive: config.keep_alive,
                longest: request_timeout_max.saturating_add(SLACK),
            }),
            address,
            listening,
            replies,
            metrics,
        })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[async_trait]
impl Intake for StreamableHttpIntake {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        self.replies.limits
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
        let (responses, sessions) = (&self.replies.responses, &self.replies.sessions);
        let endpoint = Endpoint {
            reception: Reception {
                desk,
                door: Arc::clone(&self.door),
                settling: Arc::clone(&self.settling),
                metrics: self.metrics.clone(),
            },
            manner: Arc::clone(&self.manner),
            responses: Arc::clone(responses),
            sessions: Arc::clone(sessions),
        };
        let serving = self.listening.serve(endpoint::router(endpoint, &self.path), stopping.stop.clone());
        let ending = async {
            stopping.stop.cancelled().await;
            responses.end_all();
            sessions.end_all();
            Ok(())
        };
        tokio::try_join!(serving, ending)?;
        self.settling.end().await;
        Ok(())
    }

    #[tracing::instrument(name = "intake.reply", level = "debug", skip_all, fields(messaging.system = "streamable-http-webhook", messaging.operation.type = "send"))]
    async fn reply(&self, reply: Reply) -> Result<(), BackendError> {
        let started = Instant::now();
        let result = self.replies.carry(&reply).await;
        self.metrics.transport.sent(result.as_ref().copied(), started.elapsed());
        result
    }

    async fn forward(&self, _owner: &str, _arrival: &Arrival) -> Result<(), BackendError> {
        Err(no_other_worker())
    }

    async fn close(&self, session: &RemoteSession) {
        self.replies.sessions.close(session);
        self.replies.responses.end_session(session);
    }
}
