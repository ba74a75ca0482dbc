//! The callback endpoint: where the far end posts its messages.
//!
//! Each session has a URL of its own, `{webhook_url}/{route key}/{secret}`. A POST there is handed to the inbox, and what becomes of it
//! is the response: 202 once it is in the session's hands.

mod endpoint;
mod key;
mod metrics;
mod refusal;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, http::HeaderName, routing::any};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    backend::Inbox,
    error::{BackendError, ErrorKind},
    id::{InstanceId, RouteKey},
};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::refusal::NO_SESSION;
use self::{key::CallbackKey, metrics::CallbackMetrics};
use crate::{
    config::CallbackSettings,
    http_server::{self, LAST_REQUEST},
};

/// The path where `webhook_url` is left out.
const DEFAULT_PATH: &str = "callback";

/// The most connections at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 1024;

/// What an endpoint is built with, beside its settings.
pub(crate) struct CallbackParts<'parts> {
    /// Where messages are handed over.
    pub(crate) inbox: Arc<dyn Inbox>,
    /// The process: other instances' route keys are refused.
    pub(crate) instance: InstanceId,
    /// The header in which the far end names its session.
    pub(crate) session_header: HeaderName,
    /// The backend's name, for metrics.
    pub(crate) backend: &'static str,
    /// The backend's metrics: `delivered` and `malformed` are counted here.
    pub(crate) metrics: BackendMetrics,
    /// Where the endpoint's own metrics are registered.
    pub(crate) registry: &'parts mut Registry,
    /// A listener of the caller's own, in the place of one bound to `listen`.
    pub(crate) listener: Option<TcpListener>,
}

/// The callback endpoint of one process.
pub(crate) struct Callback {
    shared: Arc<Shared>,
    /// The URL that the secrets are put behind, without a slash at its end.
    base: Box<str>,
    /// The path of that URL.
    path: Box<str>,
    address: Option<SocketAddr>,
    listener: Mutex<Option<TcpListener>>,
}

/// What the handlers share.
struct Shared {
    inbox: Arc<dyn Inbox>,
    instance: InstanceId,
    session_header: HeaderName,
    key: CallbackKey,
    max_message: usize,
    metrics: BackendMetrics,
    callback_metrics: CallbackMetrics,
    /// The callbacks that have come and are not answered.
    in_hand: TaskTracker,
}

impl Callback {
    /// An endpoint with these settings. Unless it is to share the program's port, its listener is bound here: what connects
    /// before [`run`](Self::run) waits.
    ///
    /// # Errors
    /// `Config` when the address cannot be listened on.
    pub(crate) async fn bind(
        settings: &CallbackSettings<'_>,
        parts: CallbackParts<'_>,
    ) -> Result<Self, BackendError> {
        let listener = match parts.listener {
            _ if settings.share => None,
            Some(listener) => Some(listener),
            None => Some(listen(settings.listen).await?),
        };
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let shared = Shared {
            inbox: parts.inbox,
            instance: parts.instance,
            session_header: parts.session_header,
            key: CallbackKey::random()?,
            max_message: settings.max_message,
            metrics: parts.metrics,
            callback_metrics: CallbackMetrics::new(parts.backend, parts.registry),
            in_hand: TaskTracker::new(),
        };
        let own_url = address.map(|address| format!("http://{address}/{DEFAULT_PATH}")).unwrap_or_default();
        let url = match settings.webhook_url {
            "" => own_url,
            given => as_read(given),
        };
        let base = url.trim_end_matches('/');
        Ok(Self {
            shared: Arc::new(shared),
            base: base.into(),
            path: path_of(base).into(),
            address,
            listener: Mutex::new(listener),
        })
    }

    /// The URL that this session's messages are to be posted to. Whoever knows it can speak for the far end in that session.
    pub(crate) fn url(&self, route: &RouteKey) -> String {
        format!("{}/{}/{}", self.base, route.as_str(), self.shared.key.secret_of(route))
    }

    /// The address that is listened on; `None` where the program's own port is shared.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The routes of the callbacks, and of nothing else: for the program's own port where that is shared.
    pub(crate) fn routes(&self) -> Router {
        let path = format!("{}/{{route}}/{{secret}}", self.path);
        Router::new().route(&path, any(endpoint::take)).with_state(Arc::clone(&self.shared))
    }

    /// Whether callbacks are taken.
    ///
    /// # Errors
    /// `Unavailable` once [`run`](Self::run) has been told to stop.
    pub(crate) fn check(&self) -> Result<(), BackendError> {
        if self.shared.in_hand.is_closed() {
            return Err(BackendError::new(
                ErrorKind::Unavailable,
                "check",
                "no callbacks are taken any more",
            ));
        }
        Ok(())
    }

    /// Takes callbacks until `shutdown` fires, then gives those in hand 5 s to finish.
    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        match listener {
            Some(listener) => {
                let elsewhere =
                    Router::new().fallback(endpoint::elsewhere).with_state(Arc::clone(&self.shared));
                let router = self.routes().merge(elsewhere);
                http_server::serve(listener, router, MAX_CONNECTIONS, shutdown).await;
            }
            None => shutdown.cancelled().await,
        }
        let in_hand = &self.shared.in_hand;
        in_hand.close();
        if timeout(LAST_REQUEST, in_hand.wait()).await.is_err() {
            tracing::warn!(callbacks = in_hand.len(), "callbacks were not finished before the end");
        }
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Callback")
            .field("base", &self.base)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, BackendError> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!("cannot listen for callbacks on {address}: change listen");
        BackendError::new(ErrorKind::Config, "start", message).with_source(error)
    })
}

/// The URL as whoever is told it reads it: without dots in its path, say. What is served has to be the same.
fn as_read(url: &str) -> String {
    reqwest::Url::parse(url).map_or_else(|_| url.to_owned(), String::from)
}

/// The path of an absolute URL without query and fragment; empty for `/`.
fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.find('/').and_then(|start| after_scheme.get(start..)).unwrap_or_default()
}
