//! What the two intakes share: the door that every request comes through, what becomes of what was taken, and the callbacks.

mod callbacks;
mod doctor;
mod door;
mod metrics;
mod provision;
mod reception;
mod refusal;
mod settings;
mod settling;

use std::sync::{Mutex, PoisonError};

use axum::{Router, http::HeaderMap};
use proxy_core::{
    backend::Limits,
    error::{BackendError, ErrorKind},
    message::Message,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    callbacks::{Callbacks, Posted},
    doctor::check_intake,
    door::Door,
    metrics::IntakeMetrics,
    provision::by_hand,
    reception::Reception,
    refusal::{Refusal, Why},
    settings::{IntakeSettings, default_listen},
    settling::Settling,
};
use crate::http_server;

/// The most connections at once; more wait in the system's queue. Each session of the hybrid may hold some of them open.
const MAX_CONNECTIONS: usize = 4096;

/// What a worker listens on, until it is run.
#[derive(Debug)]
pub(crate) struct Listening(Mutex<Option<TcpListener>>);

impl Listening {
    /// Listens; `own` is a listener of the caller's own.
    pub(crate) async fn begin(
        settings: &IntakeSettings<'_>,
        own: Option<TcpListener>,
    ) -> Result<(Self, std::net::SocketAddr), BackendError> {
        let cannot = |error: std::io::Error| {
            let message = format!("cannot listen for requests on {}: change listen", settings.listen);
            BackendError::new(ErrorKind::Config, "start", message).with_source(error)
        };
        let listener = match own {
            Some(own) => own,
            None => TcpListener::bind(settings.listen).await.map_err(cannot)?,
        };
        let address = listener.local_addr().map_err(cannot)?;
        tracing::info!(%address, path = settings.path, "requests are taken over HTTP");
        if !address.ip().is_loopback() && settings.auth_token.is_none() {
            tracing::warn!(
                %address,
                "whoever reaches this address can use the server: set auth_token, or let nobody reach it who may not"
            );
        }
        Ok((Self(Mutex::new(Some(listener))), address))
    }

    /// Serves until `stop` fires, and then what is in hand for 5 s.
    pub(crate) async fn serve(&self, router: Router, stop: CancellationToken) -> Result<(), BackendError> {
        let listener = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(listener) = listener else {
            return Err(BackendError::new(ErrorKind::Config, "receive", "the intake has been run before"));
        };
        http_server::serve(listener, router, MAX_CONNECTIONS, stop).await;
        Ok(())
    }
}

/// Says so where a reply is larger than a message may be.
pub(crate) fn too_large(message: &Message, limits: Limits) -> Result<(), BackendError> {
    let (bytes, limit) = (message.as_str().len(), limits.message_bytes);
    if bytes <= limit {
        return Ok(());
    }
    let text = format!("the message has {bytes} bytes, and the worker's max_message is {limit} bytes");
    Err(BackendError::new(ErrorKind::TooLarge, "reply", text))
}

/// Nothing can be passed on: who sent it has to be told.
pub(crate) fn no_other_worker() -> BackendError {
    BackendError::new(ErrorKind::SessionGone, "forward", "no other worker can be reached over this transport")
}

/// The one value of a header, where it is one that can be read. Two that differ are none that can be acted on.
pub(crate) fn single<'headers>(
    headers: &'headers HeaderMap,
    name: &axum::http::HeaderName,
) -> Result<Option<&'headers str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let unreadable = || Refusal::invalid(format!("Invalid {name} header"));
    if values.any(|other| other != value) {
        return Err(unreadable());
    }
    value.to_str().map(Some).map_err(|_| unreadable())
}

/// Takes the webhook URL out of an `initialize` (docs/WIRE.md).
pub(crate) fn without_webhook_url(message: Message) -> Result<(Message, Option<Box<str>>), Refusal> {
    let Message::Request(request) = message else { return Ok((message, None)) };
    let Some(url) = request.meta_text("webhookUrl") else { return Ok((request.into(), None)) };
    let unfit = |_| Refusal::invalid("the parameters of initialize are no object");
    Ok((request.without_meta("webhookUrl").map_err(unfit)?.into(), Some(url.into())))
}
