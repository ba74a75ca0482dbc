//! The MCP endpoint: the order in which a request is checked, and what each HTTP method does.

mod post;
mod stateless;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts},
};
use proxy_core::{EventStream, Principal, ProtocolVersion, Refusal, id::SessionId, message::RequestId};
use tracing::{Instrument as _, field::Empty};

use crate::{
    app::Shared,
    body, cors,
    header::{LAST_EVENT_ID, MCP_PROTOCOL_VERSION, MCP_SESSION_ID, Single},
    media,
    rejection::{ALLOWED_METHODS, Rejection, STATELESS_METHODS},
    sse::{self, Opening},
};

/// The revision whose claim sends a client of both eras back to `initialize`.
const MODERN_VERSION: &str = "2026-07-28";

/// A refusal, and the request that it is about where that was read.
struct Refused {
    rejection: Rejection,
    id: Option<RequestId>,
}

impl<E: Into<Rejection>> From<E> for Refused {
    fn from(rejection: E) -> Self {
        Self { rejection: rejection.into(), id: None }
    }
}

/// Takes every request to the endpoint, whatever its method.
pub(crate) async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, mut body) = request.into_parts();
    let span = tracing::info_span!(
        "http_request",
        http.request.method = method_name(&parts.method),
        mcp.method.name = Empty
    );
    async {
        let mut response = match answer(&shared, &parts, &mut body).await {
            Ok(response) => {
                shared.metrics.count_success();
                response
            }
            Err(refused) => {
                body::discard(&mut body, &parts.headers, shared.max_body).await;
                refuse(&shared, refused)
            }
        };
        shared.allow_origin(&parts, &mut response);
        response
    }
    .instrument(span)
    .await
}

async fn answer(shared: &Shared, parts: &Parts, body: &mut Body) -> Result<Response<Body>, Refused> {
    shared.guard.check_host(parts)?;
    shared.guard.origin(parts)?;
    if cors::is_preflight(parts) {
        return Ok(cors::preflight());
    }
    let caller = shared.tokens.authenticate(&parts.headers)?;
    match parts.method {
        Method::POST => post::post(shared, &parts.headers, body, &caller).await,
        Method::GET | Method::DELETE if shared.stateless => Err(Rejection::Stateless.into()),
        Method::GET => Ok(get(shared, &parts.headers, &caller)?),
        Method::DELETE => Ok(delete(shared, &parts.headers, &caller)?),
        Method::OPTIONS => Ok(options(shared)),
        _ => Err(Rejection::MethodNotAllowed.into()),
    }
}

/// Opens the session's standalone stream, or resumes the stream that `Last-Event-ID` names (2025-11-25, basic/transports,
/// listening for messages; resumability).
fn get(shared: &Shared, headers: &HeaderMap, caller: &Principal) -> Result<Response<Body>, Rejection> {
    media::for_get(headers, shared.strict_accept)?;
    check_version(headers)?;
    let session = session_id(headers)?.ok_or(Rejection::SessionRequired)?;
    let last_event = match Single::of(headers, &LAST_EVENT_ID) {
        Single::Absent => "",
        Single::Value(value) => value.to_str().map_err(|_| Rejection::LastEventUnusable)?,
        Single::Repeated => return Err(Rejection::LastEventUnusable),
    };
    let events = if last_event.is_empty() {
        shared.proxy.listen(&session, caller)?
    } else {
        match shared.proxy.resume(&session, caller, last_event)? {
            Some(events) => events,
            // The one answer that stops an SSE client from coming back (HTML standard, section 9.2.3).
            None => return Ok(empty(StatusCode::NO_CONTENT)),
        }
    };
    Ok(stream(shared, events, session_version(shared, &session, caller)))
}

/// Ends the session (2025-11-25, basic/transports, session management).
fn delete(shared: &Shared, headers: &HeaderMap, caller: &Principal) -> Result<Response<Body>, Rejection> {
    check_version(headers)?;
    let session = session_id(headers)?.ok_or(Rejection::SessionRequired)?;
    shared.proxy.end(&session, caller)?;
    Ok(empty(StatusCode::OK))
}

fn options(shared: &Shared) -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let allowed = if shared.stateless { STATELESS_METHODS } else { ALLOWED_METHODS };
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

fn stream(shared: &Shared, events: EventStream, version: ProtocolVersion) -> Response<Body> {
    let opening = if version.has_priming_events() { Opening::Primed } else { Opening::Plain };
    sse::response(events, opening, shared.metrics.open_stream())
}

fn session_version(shared: &Shared, session: &SessionId, caller: &Principal) -> ProtocolVersion {
    shared.proxy.version(session, caller).unwrap_or(ProtocolVersion::ASSUMED)
}

/// The session that the request names. Only the header counts: no cookie and no other header is read. What cannot be an id of
/// ours names a session that does not exist.
fn session_id(headers: &HeaderMap) -> Result<Option<SessionId>, Rejection> {
    match Single::of(headers, &MCP_SESSION_ID) {
        Single::Absent => Ok(None),
        Single::Repeated => Err(Rejection::SessionRepeated),
        Single::Value(value) => {
            let id = value.to_str().ok().and_then(|text| SessionId::parse(text).ok());
            id.map(Some).ok_or(Rejection::Core(Refusal::SessionNotFound))
        }
    }
}

/// The version header may be absent; the session knows its version. If there, it has to name a revision of this era
/// (2025-06-18, basic/transports, protocol version header).
fn check_version(headers: &HeaderMap) -> Result<(), Rejection> {
    let Some(value) = headers.get(MCP_PROTOCOL_VERSION) else { return Ok(()) };
    match value.to_str() {
        Ok(MODERN_VERSION) => Err(Rejection::ModernEra),
        Ok(text) if ProtocolVersion::parse(text).is_some() => Ok(()),
        _ => Err(Rejection::UnsupportedVersion),
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn json(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refuse(shared: &Shared, refused: Refused) -> Response<Body> {
    let Refused { rejection, id } = refused;
    let (status, reason) = (rejection.status(), rejection.reason());
    shared.metrics.count_refusal(status, reason);
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS)
        || status.is_server_error()
    {
        tracing::info!(http.response.status_code = status.as_u16(), error.r#type = reason, "request refused");
    } else {
        tracing::debug!(
            http.response.status_code = status.as_u16(),
            error.r#type = reason,
            "request refused"
        );
    }
    rejection.into_response(id)
}

/// The method for the span, from a closed set (OpenTelemetry semantic conventions, `http.request.method`).
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}
