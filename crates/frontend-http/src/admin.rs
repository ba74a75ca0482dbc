//! What operators, load balancers and scrapers ask: `/livez`, `/readyz`, `/health`, `/metrics`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Response, StatusCode, header, request::Parts},
};
use serde::Serialize;

use crate::{app::Shared, rejection::Rejection};

/// The body of `/health`.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    #[serde(flatten)]
    details: Option<Details>,
}

/// What only those who pass the guards may know.
#[derive(Debug, Serialize)]
struct Details {
    backend_transport: &'static str,
    active_sessions: usize,
    version: &'static str,
}

/// `/livez`: the process answers. Open to everybody.
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// `/readyz`: 200 while requests can be served, 503 while the backend's check fails or the proxy drains. Why is in the log.
/// Open to everybody, since load balancers come by address.
pub(crate) async fn readyz(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if is_ready(&shared).await {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

/// `/health`: the same as JSON, with details for those who pass the guards.
pub(crate) async fn health(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let ready = is_ready(&shared).await;
    let details = check(&shared, &parts).is_ok().then(|| Details {
        backend_transport: shared.proxy.backend_name(),
        active_sessions: shared.proxy.active_sessions(),
        version: env!("CARGO_PKG_VERSION"),
    });
    let health = Health { status: if ready { "ok" } else { "unavailable" }, details };
    let mut response = Response::new(Body::from(serde_json::to_vec(&health).unwrap_or_default()));
    *response.status_mut() = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    shared.allow_origin(&parts, &mut response);
    response
}

/// `/metrics`: text in the `OpenMetrics` format, for those who pass the guards.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    const OPEN_METRICS: HeaderValue =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    let (parts, _) = request.into_parts();
    let mut response = match (check(&shared, &parts), &shared.registry) {
        (Err(rejection), _) => rejection.into_response(None),
        (Ok(()), None) => Rejection::PathNotFound.into_response(None),
        (Ok(()), Some(registry)) => {
            let mut text = String::new();
            match prometheus_client::encoding::text::encode(&mut text, registry) {
                Ok(()) => {
                    let mut response = Response::new(Body::from(text));
                    response.headers_mut().insert(header::CONTENT_TYPE, OPEN_METRICS);
                    response
                }
                Err(error) => {
                    tracing::error!(%error, "the metrics could not be encoded");
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }
            }
        }
    };
    shared.allow_origin(&parts, &mut response);
    response
}

/// Every guard that the endpoint has.
fn check(shared: &Shared, parts: &Parts) -> Result<(), Rejection> {
    shared.guard.check_host(parts)?;
    shared.guard.origin(parts)?;
    shared.tokens.authenticate(&parts.headers)?;
    Ok(())
}

async fn is_ready(shared: &Shared) -> bool {
    shared.proxy.check().await.is_ok() && shared.also_ready.check().await
}
