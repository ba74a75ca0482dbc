//! The heads of the requests to the server.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::Full;
use proxy_core::{
    ProtocolVersion,
    error::{BackendError, ErrorKind},
    id::{RemoteSession, RouteKey},
};

use super::connection::Outgoing;
use crate::http_client::AGENT;

/// The server's session id (2025-03-26 and later, basic/transports, session management).
pub(super) const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The negotiated revision, on every request after `initialize` (2025-06-18 and later, basic/transports).
pub(super) const MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The last event of a stream that is to go on (basic/transports, resumability).
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// What asyncmcp knows a client by.
pub(super) const X_CLIENT_ID: HeaderName = HeaderName::from_static("x-client-id");

/// Both forms of an answer, which a client must take (basic/transports, sending messages to the server).
const JSON_AND_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Makes the requests to one server.
#[derive(Debug)]
pub(super) struct Requests {
    /// Path and query.
    target: Uri,
    /// The headers of every request: the host and the operator's own.
    common: HeaderMap,
    client_id: Box<str>,
}

/// Whom a request is for.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) route: RouteKey,
    pub(super) session: Option<RemoteSession>,
    pub(super) version: Option<ProtocolVersion>,
}

impl Requests {
    /// Requests to this URL, with the operator's own headers.
    pub(super) fn new(server: &Uri, client_id: &str, own: &HeaderMap) -> Result<Self, BackendError> {
        let unfit = |what: &'static str| BackendError::new(ErrorKind::Config, "start", what);
        let host = server.authority().ok_or_else(|| unfit("server_url names no host"))?;
        let host = HeaderValue::from_str(host.as_str()).map_err(|_| unfit("server_url names no host"))?;
        let target = server.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let target = target.parse().map_err(|_| unfit("server_url has no usable path"))?;
        let mut common = own.clone();
        common.insert(HOST, host);
        common.entry(USER_AGENT).or_insert(AGENT);
        Ok(Self { target, common, client_id: client_id.into() })
    }

    /// A request that carries a message.
    pub(super) fn post(&self, to: &Address, message: Bytes) -> Outgoing {
        let mut request = self.request(Method::POST, to, JSON_AND_EVENTS, message);
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request
    }

    /// A request for the standalone stream, or for what came on a stream after this event.
    pub(super) fn get(&self, to: &Address, after: Option<&str>) -> Outgoing {
        let mut request = self.request(Method::GET, to, EVENTS, Bytes::new());
        // an id that no header can carry cannot be continued from: the stream begins anew
        if let Some(after) = after.and_then(|after| HeaderValue::from_str(after).ok()) {
            request.headers_mut().insert(LAST_EVENT_ID, after);
        }
        request
    }

    /// The end of a session.
    pub(super) fn delete(&self, to: &Address) -> Outgoing {
        self.request(Method::DELETE, to, JSON_AND_EVENTS, Bytes::new())
    }

    fn request(&self, method: Method, to: &Address, accept: HeaderValue, body: Bytes) -> Outgoing {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.target.clone();
        let mut headers = self.common.clone();
        headers.insert(ACCEPT, accept);
        let client_id = [&*self.client_id, ".", to.route.as_str()].concat();
        // visible ASCII both, as their types and the validation of the configuration have it
        if let Ok(client_id) = HeaderValue::from_maybe_shared(Bytes::from(client_id)) {
            headers.insert(X_CLIENT_ID, client_id);
        }
        let session = to.session.as_ref().and_then(|session| HeaderValue::from_str(session.as_str()).ok());
        if let Some(session) = session {
            headers.insert(MCP_SESSION_ID, session);
        }
        if let Some(version) = to.version {
            headers.insert(MCP_PROTOCOL_VERSION, HeaderValue::from_static(version.as_str()));
        }
        *request.headers_mut() = headers;
        request
    }
}
