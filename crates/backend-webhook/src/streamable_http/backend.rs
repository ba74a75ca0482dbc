//! The backend: a Streamable HTTP client of the server, which may call back.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use http::{StatusCode, Uri};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics, ProxyContext, ReplyAddress,
    backend::{Backend, Inbox, Limits, Outbound, Remote, Sent},
    config::refuse_problems,
    error::{BackendError, Delivery, ErrorKind},
    id::InstanceId,
    message::Message,
};
use tokio::{
    net::TcpListener,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    callbacks::CallbackInbox,
    config::StreamableHttpConfig,
    connection::Outgoing,
    delivery,
    exchange::{self, Exchange},
    listen::listen,
    pool::Pool,
    refusal::{Refusal, Refused},
    requests::{Address, MCP_SESSION_ID, Requests},
    server::Server,
    streams::Streams,
};
use crate::{
    callback::{Callback, CallbackParts},
    config::parsed_headers,
    http_client::X_PROXY_CONTEXT,
};

/// Its name in the configuration and in metrics.
const NAME: &str = "streamable-http-webhook";

/// How often connections are looked through for those that have been idle for too long.
const PRUNE_EVERY: Duration = Duration::from_secs(5);

/// How long the server has to take note of a session's end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a backend is built with, beside its configuration.
#[derive(Debug)]
pub struct StreamableHttpParts<'registry> {
    /// Where received messages are handed over.
    pub inbox: Arc<dyn Inbox>,
    /// The process.
    pub instance: InstanceId,
    /// The longest that a request may take (`request_timeout_max`): a response that is still open then is given up.
    pub request_timeout_max: Duration,
    /// Where the metrics are registered; the names are complete, so it has no prefix of its own.
    pub registry: &'registry mut Registry,
    /// A listener of the caller's own for callbacks, in the place of one bound to `listen`.
    pub listener: Option<TcpListener>,
    /// How the server is proven, in the place of the system's certificates. Its ALPN protocols are not used.
    pub tls: Option<rustls::ClientConfig>,
}

/// The proxy's end of Streamable HTTP, with answers that may come by callback.
///
/// A session costs one connection to the server while it lives, for its standalone stream, and each request without an answer
/// another one.
#[derive(Debug)]
pub struct StreamableHttpBackend {
    server: Arc<Server>,
    callback: Option<Callback>,
}

impl StreamableHttpBackend {
    /// Takes the settings and, where `webhook_url` is set, binds the listener for callbacks. The server is not asked for anything:
    /// [`Backend::check`] does that.
    ///
    /// # Errors
    /// `Config` names the setting.
    pub async fn connect(
        config: StreamableHttpConfig,
        parts: StreamableHttpParts<'_>,
    ) -> Result<Self, BackendError> {
        refuse_problems("start", &config.validate())?;
        let metrics = BackendMetrics::new(NAME, parts.registry);
        let streams = Arc::new(Streams::default());
        let callback = match config.callback() {
            None => None,
            Some(settings) => {
                let inbox = CallbackInbox::new(Arc::clone(&parts.inbox), Arc::clone(&streams));
                let parts = CallbackParts {
                    inbox: Arc::new(inbox),
                    instance: parts.instance.clone(),
                    session_header: MCP_SESSION_ID,
                    backend: NAME,
                    metrics: metrics.clone(),
                    registry: parts.registry,
                    listener: parts.listener,
                };
                Some(Callback::bind(&settings, parts).await?)
            }
        };
        let url: Uri = config.server_url.parse().map_err(|error| {
            BackendError::new(ErrorKind::Config, "start", "server_url is no URL").with_source(error)
        })?;
        let default_client_id = || format!("mcp-proxy-{}", parts.instance.as_str());
        let client_id = config.client_id.clone().unwrap_or_else(default_client_id);
        let server = Server {
            requests: Requests::new(&url, &client_id, &parsed_headers(&config.headers))?,
            pool: Pool::new(url, config.timeout, parts.tls)?,
            streams,
            delivery: delivery::Delivery::new(parts.inbox, metrics.clone()),
            metrics,
            max_message: config.max_message,
            longest: parts.request_timeout_max,
            offers_callback: callback.is_some(),
            readers: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Ok(Self { server: Arc::new(server), callback })
    }

    /// The address that callbacks are taken on; `None` where there are none, or where the proxy's own port is shared.
    pub fn callback_address(&self) -> Option<SocketAddr> {
        self.callback.as_ref().and_then(Callback::address)
    }

    /// The routes of the callbacks, for the proxy's own port where `share` is set; `None` where there are no callbacks.
    pub fn callback_routes(&self) -> Option<Router> {
        self.callback.as_ref().map(Callback::routes)
    }

    /// The URL that the server is told to call back to in this session; `None` where there are no callbacks. A secret: whoever
    /// knows it can speak for the server in that session.
    pub fn callback_url(&self, route: &proxy_core::id::RouteKey) -> Option<String> {
        self.callback.as_ref().map(|callback| callback.url(route))
    }

    /// The message as the server is to get it, and what travels beside it.
    fn prepared(&self, outbound: Outbound) -> Result<(Message, Option<ProxyContext>), BackendError> {
        let address = || Some(ReplyAddress::Url(self.callback_url(&outbound.remote.route)?.into()));
        let context = ProxyContext::beside(&outbound, address);
        match (outbound.message, &self.callback) {
            (Message::Request(request), Some(callback)) if request.method() == "initialize" => {
                let url = serde_json::Value::from(callback.url(&outbound.remote.route)).to_string();
                let request = request.with_meta("webhookUrl", &url).map_err(|error| {
                    let message = "the parameters of initialize are no object";
                    BackendError::new(ErrorKind::Protocol, "send", message).with_source(error)
                })?;
                Ok((request.into(), context))
            }
            (message, _) => Ok((message, context)),
        }
    }

    async fn send_request(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        let Some(wire) = outbound.about.clone() else {
            let message = "a request has no wire id";
            return Err(BackendError::new(ErrorKind::Protocol, "send", message));
        };
        let Message::Request(asked) = &outbound.message else { return self.tell(outbound).await };
        let is_initialize = asked.method() == "initialize";
        let wants_progress = matches!(asked.progress_token(), Ok(Some(_)));
        let (address, deadline) = (address_of(&outbound), outbound.context.deadline);
        let request = self.request(outbound, &address)?;
        let waiting = self.server.streams.wait_for(wire, wants_progress);
        let server = Arc::clone(&self.server);
        exchange::send(Exchange { server, address, request, deadline, is_initialize, waiting }).await
    }

    /// Sends what wants no answer.
    async fn tell(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        let (address, deadline) = (address_of(&outbound), outbound.context.deadline);
        let about = outbound.about.clone();
        let method: Option<Box<str>> = outbound.message.method().map(Into::into);
        let request = self.request(outbound, &address)?;
        let posted = self.post(request, &address, deadline).await;
        if let (Some("notifications/cancelled"), Some(wire)) = (method.as_deref(), &about) {
            // nobody waits for that answer any more, whether or not the server knows
            self.server.streams.end(wire);
        }
        posted?;
        if method.as_deref() == Some("notifications/initialized")
            && address.session.is_some()
            && let Some(over) = self.server.streams.listen(&address.route)
        {
            self.server.readers.spawn(listen(Arc::clone(&self.server), address, over));
        }
        Ok(Sent::default())
    }

    async fn post(
        &self,
        request: Outgoing,
        address: &Address,
        deadline: Instant,
    ) -> Result<(), BackendError> {
        let mut backoff = exchange::backoff();
        loop {
            let sending = timeout_at(deadline, self.server.send("POST", request.clone(), deadline)).await;
            let response = sending.map_err(|_| exchange::silent())??;
            if response.status().is_success() {
                return Ok(());
            }
            let (head, body) = response.into_parts();
            let body = self.server.read_refusal(body).await;
            let refused = Refused {
                status: head.status,
                headers: &head.headers,
                body: &body,
                in_session: address.session.is_some(),
                wire: None,
            };
            let (error, asked) = match refused.refusal() {
                Refusal::Answer(_) => {
                    return Err(refused.error(ErrorKind::Protocol, "the server refused the message"));
                }
                Refusal::Final(error) => return Err(error),
                Refusal::Later(error, asked) => (error, asked),
            };
            let next = Instant::now() + asked.unwrap_or_else(|| backoff.next_delay());
            if next >= deadline {
                return Err(error);
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// The request that carries this message.
    fn request(&self, outbound: Outbound, address: &Address) -> Result<Outgoing, BackendError> {
        let (message, context) = self.prepared(outbound)?;
        let (bytes, limit) = (message.as_str().len(), self.server.max_message);
        if bytes > limit {
            let message = format!("the message has {bytes} bytes, more than the {limit} of max_message");
            return Err(BackendError::new(ErrorKind::TooLarge, "send", message));
        }
        let mut request = self.server.requests.post(address, Bytes::from(message.into_text()));
        // what no header can carry is left out: it only helps
        let context = context.and_then(|context| context.to_json().try_into().ok());
        if let Some(context) = context {
            request.headers_mut().insert(X_PROXY_CONTEXT, context);
        }
        Ok(request)
    }

    /// Closes what has been idle for too long, again and again.
    async fn prune(&self) {
        let mut ticks = interval(PRUNE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.server.pool.prune();
        }
    }
}

#[async_trait]
impl Backend for StreamableHttpBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        Limits { message_bytes: self.server.max_message }
    }

    async fn check(&self) -> Result<(), BackendError> {
        if let Some(callback) = &self.callback {
            callback.check()?;
        }
        self.server.pool.check().await
    }

    #[tracing::instrument(name = "backend.send", level = "debug", skip_all)]
    async fn send(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        let start = Instant::now();
        let sent = match &outbound.message {
            Message::Request(_) => self.send_request(outbound).await,
            Message::Notification(_) | Message::Response(_) => self.tell(outbound).await,
        };
        self.server.metrics.sent(sent.as_ref().map(|_| ()), start.elapsed());
        sent
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        let callbacks = async {
            match &self.callback {
                Some(callback) => callback.run(shutdown.clone()).await,
                None => shutdown.cancelled().await,
            }
        };
        tokio::select! {
            () = callbacks => {}
            () = self.prune() => {}
        }
        self.server.stop.cancel();
        self.server.readers.close();
        self.server.readers.wait().await;
        Ok(())
    }

    async fn close(&self, remote: &Remote) -> Result<(), BackendError> {
        self.server.streams.close(&remote.route);
        let session = remote.peer.as_ref().and_then(|peer| peer.session.clone());
        // without a session of its own the server has nothing to end
        if session.is_none() {
            return Ok(());
        }
        let address = Address { route: remote.route.clone(), session, version: None };
        let deadline = Instant::now() + FAREWELL;
        let sending = self.server.send("DELETE", self.server.requests.delete(&address), deadline);
        let response = timeout_at(deadline, sending).await.map_err(|_| exchange::silent())??;
        match response.status() {
            status if status.is_success() => Ok(()),
            // it has no way to be told (basic/transports, session management), or knows the session no more
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Ok(()),
            status => {
                let message =
                    format!("the server did not take note of a session's end ({})", status.as_u16());
                Err(BackendError::new(ErrorKind::Unavailable, "close", message)
                    .with_delivery(Delivery::MaybeSent))
            }
        }
    }
}

fn address_of(outbound: &Outbound) -> Address {
    Address {
        route: outbound.remote.route.clone(),
        session: outbound.remote.peer.as_ref().and_then(|peer| peer.session.clone()),
        version: outbound.context.version,
    }
}
