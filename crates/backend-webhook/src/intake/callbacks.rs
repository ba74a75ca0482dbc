//! The callbacks: messages that are posted to the URLs that clients named.

use std::{mem, time::Duration};

use axum::http::HeaderName;
use bytes::Bytes;
use proxy_core::{
    BackendMetrics, Backoff, ProxyContext,
    error::{BackendError, Delivery, ErrorKind},
    id::RemoteSession,
    message::Message,
};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};
use tokio::time::{Instant, sleep_until};

use crate::http_client::{
    HttpClient, Phase, X_METHOD, X_PROXY_CONTEXT, X_REQUEST_ID, failure, put, put_short,
};

/// The delays between attempts.
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// The longest that a client may ask for before the next attempt.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(1);

/// Posts to clients.
#[derive(Debug)]
pub(crate) struct Callbacks {
    client: HttpClient,
    /// The header that names the session to its client.
    session_header: HeaderName,
    metrics: BackendMetrics,
}

/// A message on its way to a client.
#[derive(Debug)]
pub(crate) struct Posted<'reply> {
    pub(crate) url: &'reply str,
    pub(crate) session: Option<&'reply RemoteSession>,
    pub(crate) context: Option<&'reply ProxyContext>,
    pub(crate) message: &'reply Message,
    pub(crate) deadline: Instant,
}

/// Why an attempt failed, and whether there may be another.
#[derive(Debug)]
enum Failure {
    Final(BackendError),
    Later(BackendError, Option<Duration>),
}

#[cfg(feature = "streamable-http-webhook")]
impl Failure {
    fn into_error(self) -> BackendError {
        match self {
            Self::Final(error) | Self::Later(error, _) => error,
        }
    }
}

impl Callbacks {
    pub(crate) fn new(client: HttpClient, session_header: HeaderName, metrics: BackendMetrics) -> Self {
        Self { client, session_header, metrics }
    }

    /// Posts until the client has it or its deadline has passed, with jittered backoff.
    ///
    /// What certainly did not arrive is posted again, and so is an answer that may have: whoever waits for it takes one of the two, and
    /// would wait in vain for one that was lost. Other messages that may have arrived are not: the client would be asked twice.
    ///
    /// # Errors
    /// What the last attempt failed at; `Protocol` at once where the client refuses the message.
    pub(crate) async fn deliver(&self, posted: &Posted<'_>) -> Result<(), BackendError> {
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        let mut is_first = true;
        loop {
            let (error, asked) = match self.attempt(posted).await {
                Ok(()) => return Ok(()),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Later(error, asked)) => (error, asked),
            };
            let next = Instant::now() + asked.unwrap_or_default().max(backoff.next_delay());
            if next >= posted.deadline {
                return Err(error);
            }
            // Once a message: whoever waits for an answer that has nowhere to go would otherwise see nothing until its deadline.
            if mem::take(&mut is_first) {
                tracing::warn!(error.r#type = error.kind().as_str(), %error, "a callback failed and is tried again");
            } else {
                tracing::debug!(error.r#type = error.kind().as_str(), %error, "a callback failed once more");
            }
            sleep_until(next).await;
        }
    }

    /// Posts once.
    ///
    /// # Errors
    /// What it failed at.
    #[cfg(feature = "streamable-http-webhook")]
    pub(crate) async fn try_once(&self, posted: &Posted<'_>) -> Result<(), BackendError> {
        self.attempt(posted).await.map_err(Failure::into_error)
    }

    async fn attempt(&self, posted: &Posted<'_>) -> Result<(), Failure> {
        let left = posted.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let message = "nobody waits for the message any more";
            return Err(Failure::Final(BackendError::new(ErrorKind::Unavailable, "reply", message)));
        }
        let request = self.client.request(Method::POST, posted.url).headers(self.headers(posted));
        let body = Bytes::copy_from_slice(posted.message.as_str().as_bytes());
        let request = request.body(body).timeout(left.min(self.client.timeout()));
        let result = match request.send().await {
            Ok(response) => read(&response, posted.message),
            Err(error) if error.is_builder() => {
                let message = "the URL that the client named for its answers cannot be used";
                Err(Failure::Final(BackendError::new(ErrorKind::Protocol, "reply", message)))
            }
            Err(error) => {
                let error = failure("reply", Phase::Head, error);
                let again = error.is_retryable() || is_answer(posted.message);
                Err(if again { Failure::Later(error, None) } else { Failure::Final(error) })
            }
        };
        let outcome = result.as_ref().copied().map_err(|failure| match failure {
            Failure::Final(error) | Failure::Later(error, _) => error,
        });
        self.metrics.called("POST", outcome);
        result
    }

    fn headers(&self, posted: &Posted<'_>) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(session) = posted.session {
            put(&mut headers, self.session_header.clone(), session.as_str());
        }
        if let Message::Request(request) = posted.message {
            put_short(&mut headers, X_REQUEST_ID, request.id().as_text());
        }
        if let Some(method) = posted.message.method() {
            put_short(&mut headers, X_METHOD, method);
        }
        if let Some(context) = posted.context {
            put(&mut headers, X_PROXY_CONTEXT, &context.to_json());
        }
        headers
    }
}

fn is_answer(message: &Message) -> bool {
    matches!(message, Message::Response(_))
}

/// What a client's response to a callback means.
fn read(response: &Response, message: &Message) -> Result<(), Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let said =
        |kind, what: &str| BackendError::new(kind, "reply", format!("{what} (HTTP {})", status.as_u16()));
    let later = |kind, what| Failure::Later(said(kind, what), retry_after(response.headers()));
    Err(match status {
        StatusCode::TOO_MANY_REQUESTS => later(ErrorKind::Throttled, "the client asks to slow down"),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::SERVICE_UNAVAILABLE => {
            later(ErrorKind::Unavailable, "the client takes no message now")
        }
        status if status.is_server_error() => {
            let error = said(ErrorKind::Unavailable, "the client failed, and may have got the message");
            let error = error.with_delivery(Delivery::MaybeSent);
            if is_answer(message) {
                Failure::Later(error, retry_after(response.headers()))
            } else {
                Failure::Final(error)
            }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failure::Final(said(ErrorKind::Denied, "the client refused our credentials: look at headers"))
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::Final(said(ErrorKind::TooLarge, "the message is larger than the client takes"))
        }
        status if status.is_redirection() => {
            Failure::Final(said(ErrorKind::Protocol, "the client redirects, which is not followed"))
        }
        _ => Failure::Final(said(ErrorKind::Protocol, "the client refused the message")),
    })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}
