//! The one HTTP client of a backend: connections that are kept and shared, HTTP/2 where it is offered, TLS by rustls with ring.

mod failure;
mod header;
mod tls;

use std::time::Duration;

use bytes::BytesMut;
use proxy_core::{
    Backoff,
    error::{BackendError, ErrorKind},
};
use reqwest::{
    Client, Method, RequestBuilder, Response,
    header::{HeaderMap, HeaderValue, USER_AGENT},
    redirect::Policy,
};
use rustls::ClientConfig;
use tokio::time::{Instant, sleep_until};

#[cfg(feature = "streamable-http-webhook")]
pub(crate) use self::tls::config as tls_config;
pub(crate) use self::{
    failure::{Phase, failure},
    header::{X_METHOD, X_PROXY_CONTEXT, X_REQUEST_ID, context_of, put, put_short},
};

/// How long an unused connection is kept. Shorter than what Python servers keep (uvicorn: 5 s): a request that meets a closing connection
/// may or may not have arrived, so it could not be sent again.
const IDLE: Duration = Duration::from_secs(4);

/// How often a busy HTTP/2 connection is asked whether it lives, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long after the first attempt connecting is tried again. A server that restarts is there again by then, and a client hears soon of one
/// that is not.
pub(crate) const RETRIED_FOR: Duration = Duration::from_secs(5);

/// The delays between attempts to connect.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// What we call ourselves.
pub(crate) const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("mcp-async-transport-proxy/", env!("CARGO_PKG_VERSION")));

/// A client for one server.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    client: Client,
    headers: HeaderMap,
    timeout: Duration,
}

impl HttpClient {
    /// A client that takes at most `timeout` to connect and sends these headers with each request.
    ///
    /// It follows no redirect and heeds no proxy variables. The system's certificates are trusted, or those in the file that the
    /// environment variable `SSL_CERT_FILE` names. A client of the caller's own, `own`, is taken as it is.
    ///
    /// # Errors
    /// `Config` when TLS cannot be set up.
    pub(crate) fn new(
        timeout: Duration,
        mut headers: HeaderMap,
        own: Option<Client>,
    ) -> Result<Self, BackendError> {
        headers.entry(USER_AGENT).or_insert(AGENT);
        let client = match own {
            Some(own) => own,
            None => client(timeout, tls::config()?)?,
        };
        Ok(Self { client, headers, timeout })
    }

    /// How long a connection may take to be made.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A request with the operator's headers.
    pub(crate) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.client.request(method, url).headers(self.headers.clone())
    }

    /// Sends a request and waits for the head of its response. A failure to connect is tried again, with jittered backoff, for
    /// [`RETRIED_FOR`] and until `deadline`; what may have arrived is not sent again.
    ///
    /// # Errors
    /// As [`failure()`] says; without an attempt before `deadline` the last one's.
    pub(crate) async fn send(
        &self,
        operation: &'static str,
        deadline: Instant,
        request: impl Fn() -> RequestBuilder + Send,
    ) -> Result<Response, BackendError> {
        let deadline = deadline.min(Instant::now() + RETRIED_FOR);
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        loop {
            let error = match request().send().await {
                Ok(response) => return Ok(response),
                Err(error) => failure(operation, Phase::Head, error),
            };
            let next = Instant::now() + backoff.next_delay();
            if !error.is_retryable() || next >= deadline {
                return Err(error);
            }
            tracing::debug!(error.r#type = error.kind().as_str(), %error, "connecting failed and is tried again");
            sleep_until(next).await;
        }
    }
}

fn client(timeout: Duration, tls: ClientConfig) -> Result<Client, BackendError> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(timeout)
        .pool_idle_timeout(IDLE)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT);
    builder.build().map_err(|error| {
        BackendError::new(ErrorKind::Config, "start", "the HTTP client cannot be set up").with_source(error)
    })
}

/// Reads a response's body, or the first `limit` bytes of it.
///
/// # Errors
/// As [`failure()`] says.
pub(crate) async fn read_body(
    operation: &'static str,
    response: &mut Response,
    limit: usize,
) -> Result<BytesMut, BackendError> {
    let mut body = BytesMut::new();
    while body.len() < limit {
        let chunk = response.chunk().await.map_err(|error| failure(operation, Phase::Body, error))?;
        let Some(chunk) = chunk else { break };
        let room = limit - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
