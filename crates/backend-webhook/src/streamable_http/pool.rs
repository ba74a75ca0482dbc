//! The connections to the server that wait for their next request.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use proxy_core::{
    Backoff,
    error::{BackendError, BoxError, Delivery, ErrorKind},
};
use rustls::ClientConfig;
use tokio::time::{Instant, sleep_until, timeout};
use tower_service::Service as _;

use super::connection::{Connection, Outgoing, ResponseBody};
use crate::http_client::{RETRIED_FOR, tls_config};

/// How long a connection is kept without a request: less than the 5 s after which uvicorn and Node.js close theirs, so that no
/// request meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(4);

/// How many connections are kept without a request.
const MOST_IDLE: usize = 512;

/// The delays between attempts to connect.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// Connections to one server.
pub(super) struct Pool {
    connector: HttpsConnector<HttpConnector>,
    server: Uri,
    /// How long connecting may take.
    timeout: Duration,
    /// Those without a request, the longest idle first.
    idle: Mutex<VecDeque<(Instant, Connection)>>,
}

impl Pool {
    /// A pool for the server at this URL. Connecting takes at most `timeout`, attempts that fail included.
    ///
    /// # Errors
    /// `Config` when TLS cannot be set up.
    pub(super) fn new(
        server: Uri,
        timeout: Duration,
        tls: Option<ClientConfig>,
    ) -> Result<Arc<Self>, BackendError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        let mut tls = tls.map_or_else(tls_config, Ok)?;
        // each answer that is waited for has a connection of its own
        tls.alpn_protocols.clear();
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = builder.enable_http1().wrap_connector(tcp);
        Ok(Arc::new(Self { connector, server, timeout, idle: Mutex::default() }))
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// Connecting is tried again for [`RETRIED_FOR`], `timeout` at most, and until `deadline`. What may have reached the server is never sent again: that
    /// error says [`Delivery::MaybeSent`].
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Outgoing,
        deadline: Instant,
    ) -> Result<Response<ResponseBody>, BackendError> {
        let deadline = deadline.min(Instant::now() + self.timeout.min(RETRIED_FOR));
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        loop {
            let (connection, is_new) = match self.take() {
                Some(connection) => (connection, false),
                None => (self.connect(deadline).await?, true),
            };
            match connection.exchange(request, self).await {
                Ok(response) => return Ok(response),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.broken(failed.into_error())),
                },
            }
            if is_new {
                // a load balancer without servers, say, takes connections and closes them
                let next = Instant::now() + backoff.next_delay();
                if next >= deadline {
                    return Err(self.unreachable("connections break before anything is sent", None));
                }
                sleep_until(next).await;
            }
        }
    }

    /// Takes a connection back that has carried its exchange.
    pub(super) fn put(&self, mut connection: Connection) {
        if !connection.is_usable() {
            return;
        }
        let now = Instant::now();
        let mut idle = self.idle();
        idle.push_back((now, connection));
        let surplus = idle.len().saturating_sub(MOST_IDLE);
        let old = idle.iter().take_while(|(since, _)| now - *since >= IDLE).count();
        drop(idle.drain(..surplus.max(old)));
    }

    /// Closes what has been idle for too long.
    pub(super) fn prune(&self) {
        let now = Instant::now();
        self.idle().retain(|(since, _)| now - *since < IDLE);
    }

    /// Tries to connect once, and keeps the connection for the next request.
    pub(super) async fn check(&self) -> Result<(), BackendError> {
        self.put(self.attempt().await?);
        Ok(())
    }

    fn take(&self) -> Option<Connection> {
        loop {
            let (since, mut connection) = self.idle().pop_back()?;
            if since.elapsed() < IDLE && connection.is_usable() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, BackendError> {
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        loop {
            let error = match self.attempt().await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            let next = Instant::now() + backoff.next_delay();
            if next >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, "connecting failed and is tried again");
            sleep_until(next).await;
        }
    }

    /// Connects, TLS included.
    async fn attempt(&self) -> Result<Connection, BackendError> {
        let connecting = async {
            let io = self.connector.clone().call(self.server.clone()).await?;
            Ok::<_, BoxError>(Connection::new(io).await?)
        };
        match timeout(self.timeout, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.unreachable("the connection was not made", Some(error))),
            Err(_) => Err(self.unreachable("connecting took too long", None)),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn authority(&self) -> &str {
        self.server.authority().map_or("", http::uri::Authority::as_str)
    }

    fn unreachable(&self, what: &str, source: Option<BoxError>) -> BackendError {
        let message = format!("the server at {} cannot be reached: {what}", self.authority());
        let error = BackendError::new(ErrorKind::Unavailable, "connect", message);
        match source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }

    fn broken(&self, source: impl Error + Send + Sync + 'static) -> BackendError {
        let message = format!(
            "the connection to the server at {} broke before it answered; the request may have run",
            self.authority()
        );
        BackendError::new(ErrorKind::Unavailable, "send", message)
            .with_source(source)
            .with_delivery(Delivery::MaybeSent)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("server", &self.authority())
            .field("idle", &self.idle().len())
            .finish_non_exhaustive()
    }
}
