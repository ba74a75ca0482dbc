//! What a client is told at once, in asyncmcp's words (docs/WIRE.md): programs know it by them.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use proxy_core::{id::RemoteSession, intake::Refused as DeskRefused, message::RequestId};
use serde_json::json;

use super::endpoint::Refused;
use crate::{intake::Refusal, webhook::request::name};

const INITIALIZED: Option<&str> = Some("notifications/initialized");
const NOT_FOUND: &str = "Session not found";

/// A session was opened.
pub(super) fn created(session: &RemoteSession) -> Response<Body> {
    let mut response = ok(&json!({ "status": "session_created", "session_id": session.as_str() }));
    // visible ASCII, as its type has it
    if let Ok(value) = HeaderValue::from_str(session.as_str()) {
        response.headers_mut().insert(name::SESSION_ID, value);
    }
    response
}

/// A message with this method was taken.
pub(super) fn accepted(method: Option<&str>) -> Response<Body> {
    let status = if method == INITIALIZED { "initialized" } else { "received" };
    ok(&json!({ "status": status }))
}

/// The session has ended.
pub(super) fn terminated() -> Response<Body> {
    ok(&json!({ "status": "terminated" }))
}

/// A message with this method, and this id if it is a request, was not taken.
pub(super) fn refused(refused: &DeskRefused, method: Option<&str>, id: Option<RequestId>) -> Refused {
    let refusal = Refusal::desk(refused, status(refused));
    match refused {
        DeskRefused::UnknownSession if method == INITIALIZED => {
            Refused::AsReceipt(Refusal { status: StatusCode::NOT_FOUND, ..refusal.with_sentence(NOT_FOUND) })
        }
        DeskRefused::UnknownSession | DeskRefused::NoSession => {
            Refused::AsReceipt(refusal.with_sentence("No active session found"))
        }
        DeskRefused::NoReplyAddress => {
            Refused::AsReceipt(refusal.with_sentence("Missing webhookUrl in _meta field"))
        }
        _ => Refused::AsError(refusal, id),
    }
}

/// A session was not ended.
pub(super) fn not_ended(refused: &DeskRefused) -> Refused {
    let refusal = Refusal::desk(refused, status(refused));
    let refusal = match refused {
        DeskRefused::UnknownSession => {
            Refusal { status: StatusCode::NOT_FOUND, ..refusal.with_sentence(NOT_FOUND) }
        }
        _ => refusal,
    };
    Refused::AsError(refusal, None)
}

/// The same as `{"error": …}`.
pub(super) fn error(refusal: &Refusal) -> Response<Body> {
    refusal.with_body(json!({ "error": refusal.sentence }).to_string())
}

fn status(refused: &DeskRefused) -> StatusCode {
    match refused {
        DeskRefused::Busy(_) | DeskRefused::Draining => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn ok(body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
