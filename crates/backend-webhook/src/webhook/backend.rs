//! The backend: requests are posted, answers come to callbacks.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    backend::{Backend, Event, Inbound, Inbox, Limits, Outbound, Remote, Sent, Settlement},
    config::refuse_problems,
    error::{BackendError, Delivery, ErrorKind},
    id::{InstanceId, RouteKey, WireId},
    message::Message,
};
use reqwest::Method;
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    config::WebhookConfig,
    receipt::{Posted, Receipt},
    request::{self, name},
};
use crate::{
    callback::{Callback, CallbackParts},
    config::{is_cleartext_elsewhere, parsed_headers},
    http_client::{HttpClient, read_body},
};

/// Its name in the configuration and in metrics.
const NAME: &str = "webhook";

/// The longest receipt that is read.
const LONGEST_RECEIPT: usize = 64 * 1024;

/// How long readiness and the end of a session may take.
const ASIDE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a backend is built with, beside its configuration.
#[derive(Debug)]
pub struct WebhookParts<'registry> {
    /// Where received messages are handed over.
    pub inbox: Arc<dyn Inbox>,
    /// The process.
    pub instance: InstanceId,
    /// Where the metrics are registered; the names are complete, so it has no prefix of its own.
    pub registry: &'registry mut Registry,
    /// A client of the caller's own, for certificates or a proxy of his, in the place of one made here. It should follow no redirects, and
    /// keep idle connections for less long than the server.
    pub client: Option<reqwest::Client>,
    /// A listener of the caller's own, in the place of one bound to `listen`.
    pub listener: Option<TcpListener>,
}

/// The proxy's end of asyncmcp's webhook transport.
///
/// Keeps nothing for a session.
#[derive(Debug)]
pub struct WebhookBackend {
    server_url: Box<str>,
    client_id: Box<str>,
    client: HttpClient,
    callback: Callback,
    inbox: Arc<dyn Inbox>,
    metrics: BackendMetrics,
    limits: Limits,
}

impl WebhookBackend {
    /// Sets the client up and begins to listen for callbacks. The server need not be there yet.
    ///
    /// # Errors
    /// `Config` names the setting, such as an address that cannot be listened on.
    pub async fn connect(config: WebhookConfig, parts: WebhookParts<'_>) -> Result<Self, BackendError> {
        refuse_problems("start", &config.validate())?;
        for (key, url) in [("server_url", &config.server_url), ("webhook_url", &config.webhook_url)] {
            if is_cleartext_elsewhere(url) {
                tracing::warn!(key, "messages cross the network unencrypted: use https");
            }
        }
        let WebhookParts { inbox, instance, registry, client, listener } = parts;
        let metrics = BackendMetrics::new(NAME, registry);
        let client_id =
            config.client_id.clone().unwrap_or_else(|| format!("mcp-proxy-{}", instance.as_str()));
        let callback_parts = CallbackParts {
            inbox: Arc::clone(&inbox),
            instance,
            session_header: name::SESSION_ID,
            backend: NAME,
            metrics: metrics.clone(),
            registry,
            listener,
        };
        Ok(Self {
            client: HttpClient::new(config.timeout, parsed_headers(&config.headers), client)?,
            callback: Callback::bind(&config.callback(), callback_parts).await?,
            server_url: config.server_url.into(),
            client_id: client_id.into(),
            inbox,
            metrics,
            limits: Limits { message_bytes: config.max_message },
        })
    }

    /// The routes of the callbacks, for the program's own port where the configuration says `share`.
    pub fn callback_routes(&self) -> Router {
        self.callback.routes()
    }

    /// The address that callbacks are taken on; `None` where the program's own port is shared.
    pub fn callback_address(&self) -> Option<SocketAddr> {
        self.callback.address()
    }

    /// The URL that the far end posts this session's messages to: whoever knows it can speak for the far end there.
    pub fn callback_url(&self, route: &RouteKey) -> String {
        self.callback.url(route)
    }

    /// Posts a message and reads the receipt.
    async fn post(&self, mut outbound: Outbound) -> Result<Sent, BackendError> {
        let reply = self.callback.url(&outbound.remote.route);
        let is_initialize = outbound.message.method() == Some("initialize");
        let headers = request::headers(&self.client_id, &outbound, &reply);
        outbound.message = addressed(outbound.message, &reply)?;
        let Outbound { remote, about, context, message, .. } = outbound;
        let request_id = about.filter(|_| matches!(message, Message::Request(_)));
        let body = Bytes::from(message.into_text());
        self.check_size(body.len())?;
        let (timeout, started) = (self.client.timeout(), Instant::now());
        if context.deadline <= started {
            let message = "the message waited too long to be sent";
            return Err(BackendError::new(ErrorKind::Unavailable, "send", message));
        }
        let deadline = context.deadline.min(started + timeout);
        // Connecting has a limit of its own, so the receipt has at least this long; but nothing is sent that nobody waits for any more.
        let request = || {
            let left = context.deadline.saturating_duration_since(Instant::now());
            let request = self.client.request(Method::POST, &self.server_url);
            request.headers(headers.clone()).body(body.clone()).timeout(left.min(timeout * 2))
        };
        let mut response = self.client.send("send", deadline, request).await?;
        let body = read_body("send", &mut response, LONGEST_RECEIPT).await;
        // The status says what became of the message, however the body ends.
        let body = body.unwrap_or_default();
        let receipt = Receipt { status: response.status(), headers: response.headers(), body: &body };
        let session = request::session_of(&remote);
        let result = receipt.read(&Posted { route: &remote.route, session, is_initialize });
        if let (Err(error), Some(request)) = (&result, request_id)
            && error.delivery() == Delivery::MaybeSent
        {
            self.end_exchange(remote.route, request, error).await;
        }
        result
    }

    fn check_size(&self, bytes: usize) -> Result<(), BackendError> {
        let limit = self.limits.message_bytes;
        if bytes <= limit {
            return Ok(());
        }
        let message = format!("the message has {bytes} bytes, and max_message is {limit} bytes");
        Err(BackendError::new(ErrorKind::TooLarge, "send", message))
    }

    /// A request whose receipt is an error ends at once, though it may have arrived.
    async fn end_exchange(&self, route: RouteKey, request: WireId, error: &BackendError) {
        let told = BackendError::new(error.kind(), error.operation(), error.to_string());
        let inbound = Inbound {
            route: Some(route),
            peer: None,
            related: None,
            sequence: None,
            message_id: None,
            event: Event::ExchangeFailed(Some(request), told.with_delivery(error.delivery())),
        };
        let disposition = match self.inbox.deliver(inbound) {
            Settlement::Now(disposition) => disposition,
            Settlement::Later(settled) => settled.await,
        };
        tracing::debug!(disposition = disposition.as_str(), "an error receipt ended an exchange");
    }

    /// Sends a request that is not a message, with little patience, and without trying again.
    async fn aside(
        &self,
        operation: &'static str,
        method: Method,
        remote: Option<&Remote>,
    ) -> Result<reqwest::Response, BackendError> {
        let timeout = self.client.timeout().min(ASIDE_TIMEOUT);
        let headers = remote.map(|remote| request::session_headers(&self.client_id, remote));
        let request = || {
            let request = self.client.request(method.clone(), &self.server_url).timeout(timeout);
            request.headers(headers.clone().unwrap_or_default())
        };
        let result = self.client.send(operation, Instant::now(), request).await;
        let action = if remote.is_some() { "DELETE" } else { "OPTIONS" };
        self.metrics.called(action, result.as_ref().map(|_| ()));
        result
    }
}

#[async_trait]
impl Backend for WebhookBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.callback.check()?;
        let response = self.aside("check", Method::OPTIONS, None).await?;
        let status = response.status();
        if status.is_server_error() {
            let message = format!("the server fails (HTTP {})", status.as_u16());
            return Err(BackendError::new(ErrorKind::Unavailable, "check", message));
        }
        Ok(())
    }

    #[tracing::instrument(name = "backend.send", level = "debug", skip_all, fields(messaging.system = "webhook", messaging.operation.type = "send"))]
    async fn send(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        let started = Instant::now();
        let result = self.post(outbound).await;
        let outcome = result.as_ref().map(|_| ());
        self.metrics.called("POST", outcome);
        self.metrics.sent(outcome, started.elapsed());
        result
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        self.callback.run(shutdown).await;
        Ok(())
    }

    async fn close(&self, remote: &Remote) -> Result<(), BackendError> {
        let response = self.aside("close", Method::DELETE, Some(remote)).await?;
        match response.status().as_u16() {
            // gone already, or a server that keeps no sessions
            200..=299 | 404 | 405 | 410 => Ok(()),
            status => {
                let message = format!("the server did not end the session (HTTP {status})");
                Err(BackendError::new(ErrorKind::Protocol, "close", message))
            }
        }
    }
}

/// Puts the callback URL into initialize.
fn addressed(message: Message, reply: &str) -> Result<Message, BackendError> {
    match message {
        Message::Request(request) if request.method() == "initialize" => {
            let url = serde_json::Value::from(reply).to_string();
            let addressed = request.with_meta("webhookUrl", &url);
            addressed.map(Message::from).map_err(|error| {
                BackendError::new(ErrorKind::Protocol, "send", "the parameters of initialize are no object")
                    .with_source(error)
            })
        }
        other => Ok(other),
    }
}
