//! One callback: checked, handed over, and acknowledged by what became of it.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, Method, Response, StatusCode},
};
use proxy_core::{
    backend::{Disposition, Inbound, Settlement},
    id::{RemoteSession, RouteKey},
    message::Message,
};

use super::{Shared, refusal::Refusal};
use crate::{http_client::context_of, http_server};

/// Takes a callback on its own path.
pub(super) async fn take(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response<Body> {
    let _in_hand = shared.in_hand.token();
    let (parts, mut body) = request.into_parts();
    let outcome = async {
        let Path((route, secret)) = path.map_err(|_| Refusal::Path)?;
        if parts.method != Method::POST {
            return Err(Refusal::Method);
        }
        let route = shared.authorize(&route, &secret)?;
        let session = session(&parts.headers, &shared, &route)?;
        let bytes = http_server::read(&mut body, shared.max_message).await?;
        let inbound = decode(bytes, &parts.headers, route, session)?;
        shared.deliver(inbound).await
    };
    match outcome.await {
        Ok(()) => accepted(),
        Err(refusal) => {
            shared.refused(refusal);
            http_server::discard(&mut body).await;
            refusal.response()
        }
    }
}

/// What comes to any other path of a listener of our own.
pub(super) async fn elsewhere(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    shared.refused(Refusal::Path);
    http_server::discard(&mut request.into_body()).await;
    Refusal::Path.response()
}

impl Shared {
    /// The route that the path names, if the path is one that we gave out.
    fn authorize(&self, route: &str, secret: &str) -> Result<RouteKey, Refusal> {
        let route = RouteKey::parse(route).map_err(|_| Refusal::Path)?;
        if !route.belongs_to(&self.instance) {
            return Err(Refusal::Foreign);
        }
        if !self.key.is_secret_of(&route, secret) {
            return Err(Refusal::Secret);
        }
        Ok(route)
    }

    /// Hands it over and waits for what becomes of it.
    async fn deliver(&self, inbound: Inbound) -> Result<(), Refusal> {
        let disposition = match self.inbox.deliver(inbound) {
            Settlement::Now(disposition) => disposition,
            // in a task of its own: it ends though the far end goes away meanwhile
            Settlement::Later(settled) => match self.in_hand.spawn(settled).await {
                Ok(disposition) => disposition,
                Err(error) => {
                    tracing::error!(%error, "a message could not be stored");
                    Disposition::Busy
                }
            },
        };
        self.metrics.delivered(disposition.as_str());
        match disposition {
            Disposition::Accepted => Ok(()),
            Disposition::Busy => Err(Refusal::Busy),
            Disposition::Unroutable => Err(Refusal::Unroutable),
            Disposition::Foreign => Err(Refusal::Foreign),
        }
    }

    fn refused(&self, refusal: Refusal) {
        tracing::debug!(reason = refusal.reason(), "a callback was refused");
        if refusal == Refusal::Malformed {
            self.metrics.malformed();
        }
        self.callback_metrics.refused(refusal.reason());
    }
}

/// The far end's own session id, if it is not the one that we proposed. A route key of ours there must be the path's; our worker makes ids
/// of the same form, of its own instance.
fn session(headers: &HeaderMap, shared: &Shared, route: &RouteKey) -> Result<Option<RemoteSession>, Refusal> {
    let mut values = headers.get_all(&shared.session_header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.any(|other| other != value) {
        return Err(Refusal::Session);
    }
    let text = value.to_str().map_err(|_| Refusal::Session)?;
    if text == route.as_str() {
        return Ok(None);
    }
    if RouteKey::parse(text).is_ok_and(|other| other.belongs_to(&shared.instance)) {
        return Err(Refusal::Session);
    }
    RemoteSession::parse(text).map(Some).map_err(|_| Refusal::Session)
}

fn decode(
    bytes: Vec<u8>,
    headers: &HeaderMap,
    route: RouteKey,
    session: Option<RemoteSession>,
) -> Result<Inbound, Refusal> {
    let message =
        String::from_utf8(bytes).ok().and_then(|text| Message::parse(text).ok()).ok_or(Refusal::Malformed)?;
    let context = context_of(headers).unwrap_or_default();
    Ok(context.inbound(Some(route), session, message, None))
}

fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}
