//! The MCP endpoint: who comes in, the standalone stream, and the end of a session. `post` has the messages.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Method, Response, StatusCode, header, request::Parts},
    routing::any,
};
use proxy_core::{
    ProtocolVersion,
    id::RemoteSession,
    intake::{Arrival, ArrivalEvent, Delivery, Receipt, Refused},
    message::RequestId,
};

use super::{
    responses::Responses,
    sessions::{NoStream, Sessions},
    sse,
};
use crate::{
    http_client::context_of,
    http_server,
    intake::{Reception, Refusal, Why, single},
    streamable_http::requests::{MCP_PROTOCOL_VERSION, MCP_SESSION_ID, X_CLIENT_ID},
};

/// The methods that are taken.
const ALLOWED: &str = "GET, POST, DELETE";

/// How requests are answered.
#[derive(Debug)]
pub(super) struct Manner {
    pub(super) webhook_tools: HashSet<String>,
    pub(super) json: bool,
    pub(super) keep_alive: Duration,
    /// How long a response may stay open.
    pub(super) longest: Duration,
}

/// What takes requests.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) reception: Reception,
    pub(super) manner: Arc<Manner>,
    pub(super) responses: Arc<Responses>,
    pub(super) sessions: Arc<Sessions>,
}

/// What was refused, about this request where it could be read.
pub(super) type Refusing = (Refusal, Option<RequestId>);

pub(super) fn router(endpoint: Endpoint, path: &str) -> Router {
    Router::new().route(path, any(take)).fallback(elsewhere).with_state(Arc::new(endpoint))
}

async fn take(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response<Body> {
    let (parts, mut body) = request.into_parts();
    match endpoint.take(&parts, &mut body).await {
        Ok(response) => response,
        Err((refusal, id)) => {
            http_server::discard(&mut body).await;
            endpoint.reception.refused(&refusal);
            refusal.response(id)
        }
    }
}

/// What comes to any other path.
async fn elsewhere(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    endpoint.reception.elsewhere(&parts, body).await
}

impl Endpoint {
    async fn take(&self, parts: &Parts, body: &mut Body) -> Result<Response<Body>, Refusing> {
        let nameless = |refusal| (refusal, None);
        self.reception.door.check(parts).map_err(nameless)?;
        match parts.method {
            Method::POST => self.post(parts, body).await,
            Method::GET => self.get(parts).map_err(nameless),
            Method::DELETE => self.delete(parts).map_err(nameless),
            _ => Err(nameless(Refusal::method(ALLOWED))),
        }
    }

    /// The standalone stream, one a session (basic/transports, listening for messages from the server).
    fn get(&self, parts: &Parts) -> Result<Response<Body>, Refusal> {
        if !accepts(&parts.headers, "text/event-stream") {
            return Err(not_acceptable("Not Acceptable: Client must accept text/event-stream"));
        }
        let session = named(parts)?;
        check_version(&parts.headers)?;
        let client_id = client_id(&parts.headers)?;
        match self.sessions.listen(&session, client_id) {
            Ok(reader) => Ok(sse::response(reader, self.manner.keep_alive, Duration::MAX)),
            Err(NoStream::Unknown) => Err(refusal(&Refused::UnknownSession)),
            Err(NoStream::Open) => {
                let sentence = "Conflict: Only one SSE stream is allowed per session";
                Err(Refusal::new(Why::Conflict, StatusCode::CONFLICT, sentence))
            }
        }
    }

    /// The end of a session (basic/transports, session management).
    fn delete(&self, parts: &Parts) -> Result<Response<Body>, Refusal> {
        let session = named(parts)?;
        check_version(&parts.headers)?;
        let arrival = Arrival { session: Some(session), ..envelope(&parts.headers)? };
        match self.reception.hand_over(|desk| desk.take(arrival))? {
            Receipt::Opened(_) | Receipt::Accepted | Receipt::Ended => Ok(Response::new(Body::empty())),
            Receipt::Refused(refused) => Err(refusal(&refused)),
        }
    }
}

/// What the head of a request says, as the end of a session.
pub(super) fn envelope(headers: &HeaderMap) -> Result<Arrival, Refusal> {
    Ok(Arrival {
        session: None,
        client_id: client_id(headers)?.map(Into::into),
        version: single(headers, &MCP_PROTOCOL_VERSION)?.map(Into::into),
        reply: None,
        context: context_of(headers),
        delivery: Delivery { message_id: None, receive_count: 1, sent: SystemTime::now(), to_owner: false },
        event: ArrivalEvent::End,
    })
}

/// The client that a request names; an empty name is none.
fn client_id(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    Ok(single(headers, &X_CLIENT_ID)?.filter(|id| !id.is_empty()))
}

/// The session that a request names, as all but `initialize` must.
pub(super) fn named(parts: &Parts) -> Result<RemoteSession, Refusal> {
    let text = single(&parts.headers, &MCP_SESSION_ID)?;
    let text = text.ok_or_else(|| Refusal::invalid("Bad Request: Missing session ID"))?;
    // what no session can be called is none that is known
    RemoteSession::parse(text).map_err(|_| refusal(&Refused::UnknownSession))
}

/// Whether the revision that a request names is one that there is (2025-06-18 and later, basic/transports, protocol version header).
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    match single(headers, &MCP_PROTOCOL_VERSION)? {
        Some(version) if ProtocolVersion::parse(version).is_none() => {
            Err(Refusal::invalid(format!("Bad Request: Unsupported protocol version: {version:?}")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether an answer of this type is taken.
pub(super) fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(','));
    let mut ranges = ranges.filter_map(|range| range.split(';').next()).map(str::trim);
    let (kind, _) = media.split_once('/').unwrap_or((media, ""));
    ranges.any(|range| {
        range.eq_ignore_ascii_case(media)
            || range == "*/*"
            || range.strip_suffix("/*").is_some_and(|of| of == kind)
    })
}

pub(super) fn not_acceptable(sentence: &'static str) -> Refusal {
    Refusal::new(Why::MediaType, StatusCode::NOT_ACCEPTABLE, sentence)
}

/// What the desk refuses, as Streamable HTTP says it.
pub(super) fn refusal(refused: &Refused) -> Refusal {
    let status = match refused {
        Refused::UnknownSession => StatusCode::NOT_FOUND,
        Refused::Busy(_) | Refused::Draining => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal::desk(refused, status)
}
