//! From an outbound message to the headers of its POST.

use proxy_core::{
    ProxyContext, ReplyAddress,
    backend::{Outbound, Remote},
    message::Message,
};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::http_client::{X_METHOD, X_PROXY_CONTEXT, X_REQUEST_ID, put, put_short};

/// The headers of asyncmcp's protocol that its two HTTP transports do not share.
pub(super) mod name {
    use super::HeaderName;

    pub(in crate::webhook) const CLIENT_ID: HeaderName = HeaderName::from_static("x-client-id");
    pub(in crate::webhook) const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
    pub(in crate::webhook) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("x-protocol-version");
}

/// The headers that name the session. Each session is a client of its own to the server: a request whose session id asyncmcp does not
/// know goes to the newest session of the same client id, another's.
pub(super) fn session_headers(client_id: &str, remote: &Remote) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    put(&mut headers, name::CLIENT_ID, &format!("{client_id}.{}", remote.route.as_str()));
    put(&mut headers, name::SESSION_ID, session_of(remote));
    headers
}

/// The session as the server knows it: by its own id, or by the one that is proposed.
pub(super) fn session_of(remote: &Remote) -> &str {
    let own = remote.peer.as_deref().and_then(|peer| peer.session.as_ref());
    own.map_or(remote.route.as_str(), |session| session.as_str())
}

/// All headers of a message's POST; `reply` is the URL that answers are posted to.
pub(super) fn headers(client_id: &str, outbound: &Outbound, reply: &str) -> HeaderMap {
    let message = &outbound.message;
    let mut headers = session_headers(client_id, &outbound.remote);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Message::Request(request) = message {
        put_short(&mut headers, X_REQUEST_ID, request.id().as_text());
    }
    if let Some(method) = message.method() {
        put_short(&mut headers, X_METHOD, method);
    }
    let handshake = message.method() == Some("initialize");
    if let Some(version) = outbound.context.version.filter(|_| !handshake) {
        put(&mut headers, name::PROTOCOL_VERSION, version.as_str());
    }
    if let Some(context) = ProxyContext::beside(outbound, || ReplyAddress::Url(reply.into())) {
        put(&mut headers, X_PROXY_CONTEXT, &context.to_json());
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proxy_core::{
        ProtocolVersion,
        backend::{Context, Peer},
        id::{InstanceId, RemoteSession, RouteKey},
    };
    use tokio::time::Instant;

    use super::*;

    fn outbound(text: &str, peer: Option<Peer>) -> Outbound {
        Outbound {
            remote: Remote { route: RouteKey::random(&InstanceId::random()), peer: peer.map(Arc::new) },
            about: None,
            number: 0,
            context: Context { version: Some(ProtocolVersion::V2025_06_18), deadline: Instant::now() },
            message: Message::parse(text).unwrap(),
        }
    }

    fn sealed(outbound: &Outbound) -> HeaderMap {
        headers("search", outbound, "https://proxy/callback/a/b")
    }

    fn context(headers: &HeaderMap) -> Option<ProxyContext> {
        ProxyContext::parse(headers.get("x-proxy-context")?.to_str().unwrap())
    }

    #[test]
    fn initialize_proposes_the_route_key_and_says_where_the_answer_goes() {
        let outbound = outbound(r#"{"jsonrpc":"2.0","id":"x:1","method":"initialize","params":{}}"#, None);
        let headers = sealed(&outbound);
        let route = outbound.remote.route.as_str();
        assert_eq!(headers["x-client-id"], format!("search.{route}"));
        assert_eq!(headers["x-session-id"], route);
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["x-request-id"], "x:1");
        assert_eq!(headers["x-method"], "initialize");
        assert!(!headers.contains_key("x-protocol-version"));
        let context = context(&headers).unwrap();
        assert_eq!(context.reply, Some(ReplyAddress::Url("https://proxy/callback/a/b".into())));
        assert!(context.deadline.is_some());
    }

    #[test]
    fn later_messages_carry_the_servers_own_session_id_and_the_version() {
        let peer = Peer { session: RemoteSession::parse("theirs").ok(), ..Peer::default() };
        let headers =
            sealed(&outbound(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Some(peer)));
        assert_eq!(headers["x-session-id"], "theirs");
        assert_eq!(headers["x-protocol-version"], "2025-06-18");
        assert_eq!(headers["x-method"], "notifications/initialized");
        assert!(!headers.contains_key("x-request-id"));
        assert_eq!(context(&headers), None);
    }

    #[test]
    fn a_peer_that_announced_itself_gets_the_context_on_every_message() {
        let peer = Peer { eras: vec!["legacy".into()], ..Peer::default() };
        let headers = sealed(&outbound(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, Some(peer)));
        assert!(context(&headers).is_some());
        assert!(!headers.contains_key("x-request-id") && !headers.contains_key("x-method"));
    }

    #[test]
    fn what_a_header_cannot_carry_is_left_out() {
        let long = "m".repeat(257);
        for method in ["a\\nb", "é", " a", &long, ""] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":"{method}","method":"{method}"}}"#);
            let headers = sealed(&outbound(&text, None));
            assert!(!headers.contains_key("x-method") && !headers.contains_key("x-request-id"), "{method}");
            assert!(headers.contains_key("x-session-id"));
        }
    }
}
