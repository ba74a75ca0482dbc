//! What the server's response to a POST means.

use proxy_core::{
    backend::Sent,
    error::{BackendError, Delivery, ErrorKind},
    id::{RemoteSession, RouteKey},
};
use reqwest::{StatusCode, header::HeaderMap};
use serde::Deserialize;

use super::request::name;

/// What asyncmcp says where it does not know a session (any more). With 400 and 500 as with 404.
const GONE: [&str; 5] = [
    "No active session found",
    "Session not found",
    "Session has been terminated",
    "Session transport not found",
    "Transport not found",
];

/// The most of the server's own words that is passed on.
const LONGEST_QUOTE: usize = 200;

/// A response to a POST.
pub(super) struct Receipt<'receipt> {
    pub(super) status: StatusCode,
    pub(super) headers: &'receipt HeaderMap,
    /// The body, or the beginning of a long one.
    pub(super) body: &'receipt [u8],
}

/// What was posted.
pub(super) struct Posted<'posted> {
    pub(super) route: &'posted RouteKey,
    /// The session id that it carried.
    pub(super) session: &'posted str,
    /// Whether it was `initialize`, which no session can be missing for.
    pub(super) is_initialize: bool,
}

impl Receipt<'_> {
    /// Whether the server took the message, and which session id it gave.
    ///
    /// # Errors
    /// A sentence for the client, the server's own words in it, if it did not take it. asyncmcp answers 4xx and 5xx, with the reason as
    /// JSON, only before a session gets the message: it did not arrive. A 5xx that anything else gives, a gateway say, leaves that
    /// open, except for 503.
    pub(super) fn read(&self, posted: &Posted<'_>) -> Result<Sent, BackendError> {
        if self.status.is_success() {
            return Ok(Sent { session: self.session(posted) });
        }
        let quote = self.quote(posted);
        let (kind, what) = self.meaning(posted, quote.as_deref());
        let delivery = self.delivery(quote.is_some());
        let said = quote.map(|quote| format!(": {quote:?}")).unwrap_or_default();
        let message = format!("{what} (HTTP {}{said})", self.status.as_u16());
        Err(BackendError::new(kind, "send", message).with_delivery(delivery))
    }

    /// The server's own session id, if it is not the proposed one.
    fn session(&self, posted: &Posted<'_>) -> Option<RemoteSession> {
        #[derive(Deserialize)]
        struct Created {
            session_id: Option<String>,
        }
        let header = self.headers.get(name::SESSION_ID).and_then(|value| value.to_str().ok());
        let given = match header {
            Some(given) => Some(given.to_owned()),
            None if posted.is_initialize => {
                serde_json::from_slice::<Created>(self.body).ok().and_then(|created| created.session_id)
            }
            None => None,
        };
        let given = given.filter(|given| given != posted.route.as_str())?;
        RemoteSession::parse(&given).ok()
    }

    /// Whether the message may have arrived, where the server explains itself as asyncmcp does, or not.
    fn delivery(&self, explained: bool) -> Delivery {
        let is_open = self.status.is_server_error() && self.status != StatusCode::SERVICE_UNAVAILABLE;
        if is_open && !explained { Delivery::MaybeSent } else { Delivery::NotSent }
    }

    fn meaning(&self, posted: &Posted<'_>, quote: Option<&str>) -> (ErrorKind, &'static str) {
        let is_gone = quote.is_some_and(|quote| GONE.iter().any(|gone| quote.starts_with(gone)));
        match self.status.as_u16() {
            404 | 410 if posted.is_initialize => (ErrorKind::Config, "there is no MCP server at server_url"),
            404 | 410 => (ErrorKind::SessionGone, "the server does not know this session any more"),
            400 | 500 if is_gone && !posted.is_initialize => {
                (ErrorKind::SessionGone, "the server does not know this session any more")
            }
            300..=399 => (ErrorKind::Config, "the server redirects: write its final address into server_url"),
            401 | 403 | 407 => (ErrorKind::Denied, "the server refused our credentials: look at headers"),
            405 => (ErrorKind::Config, "what is at server_url takes no POST"),
            408 => (ErrorKind::Unavailable, "the server gave up waiting for the message"),
            413 => (ErrorKind::TooLarge, "the message is larger than the server takes"),
            429 => (ErrorKind::Throttled, "the server asks to slow down"),
            400..=499 => (ErrorKind::Protocol, "the server refused the message"),
            503 => (ErrorKind::Unavailable, "the server takes no messages now"),
            500..=599 if quote.is_none() => {
                (ErrorKind::Unavailable, "the server or a gateway failed, and may have got the message")
            }
            500..=599 => (ErrorKind::Unavailable, "the server failed"),
            _ => (ErrorKind::Protocol, "the server's response is no receipt"),
        }
    }

    /// What the server says itself, as one line without session ids: they are not the client's to know.
    fn quote(&self, posted: &Posted<'_>) -> Option<String> {
        #[derive(Deserialize)]
        struct Refusal {
            error: Said,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Said {
            Text(String),
            JsonRpc { message: String },
        }
        let said = match serde_json::from_slice::<Refusal>(self.body).ok()?.error {
            Said::Text(text) | Said::JsonRpc { message: text } => text,
        };
        // What validators write on the lines after the first quotes the message.
        let line = said.lines().next().unwrap_or_default();
        let line = line.replace(posted.session, "…").replace(posted.route.as_str(), "…");
        let line: String =
            line.chars().filter(|character| !character.is_control()).take(LONGEST_QUOTE).collect();
        (!line.trim().is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use proxy_core::id::InstanceId;

    use super::*;

    fn read(status: u16, body: &str, is_initialize: bool) -> Result<Sent, BackendError> {
        let route = RouteKey::random(&InstanceId::random());
        let body = body.replace("ROUTE", route.as_str());
        let posted = Posted { route: &route, session: route.as_str(), is_initialize };
        let status = StatusCode::from_u16(status).unwrap();
        Receipt { status, headers: &HeaderMap::new(), body: body.as_bytes() }.read(&posted)
    }

    fn error(status: u16, body: &str) -> (ErrorKind, Delivery, String) {
        let error = read(status, body, false).unwrap_err();
        (error.kind(), error.delivery(), error.to_string())
    }

    #[test]
    fn a_receipt_gives_the_servers_own_session_id() {
        let sent = read(200, r#"{"status":"session_created","session_id":"theirs"}"#, true).unwrap();
        assert_eq!(sent.session, RemoteSession::parse("theirs").ok());
        for (body, is_initialize) in [
            (r#"{"status":"session_created","session_id":"ROUTE"}"#, true),
            (r#"{"status":"received"}"#, false),
            ("", true),
            (r#"{"session_id":"a b"}"#, true),
        ] {
            assert_eq!(read(200, body, is_initialize).unwrap().session, None, "{body}");
        }
    }

    #[test]
    fn a_session_that_the_server_does_not_know_is_gone() {
        for (status, body) in [
            (400, r#"{"error": "No active session found"}"#),
            (404, r#"{"error": "Session not found"}"#),
            (
                404,
                r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Session has been terminated: ROUTE"}}"#,
            ),
            (404, "<html>"),
            (500, r#"{"error": "Session transport not found"}"#),
            (500, r#"{"error": "Transport not found"}"#),
        ] {
            assert_eq!(error(status, body).0, ErrorKind::SessionGone, "{status} {body}");
        }
    }

    #[test]
    fn each_refusal_says_which() {
        for (status, kind) in [
            (301, ErrorKind::Config),
            (400, ErrorKind::Protocol),
            (401, ErrorKind::Denied),
            (403, ErrorKind::Denied),
            (405, ErrorKind::Config),
            (413, ErrorKind::TooLarge),
            (422, ErrorKind::Protocol),
            (429, ErrorKind::Throttled),
            (503, ErrorKind::Unavailable),
        ] {
            let (found, delivery, sentence) = error(status, "");
            assert_eq!((found, delivery), (kind, Delivery::NotSent), "{status}");
            assert!(sentence.contains(&status.to_string()), "{sentence}");
        }
        assert_eq!(read(404, "", true).unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn what_something_else_than_asyncmcp_fails_at_may_have_arrived() {
        for status in [500, 502, 504] {
            assert_eq!(error(status, "<html>").1, Delivery::MaybeSent, "{status}");
            let explained = r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32603,"message":"Internal server error: x"}}"#;
            assert_eq!(error(status, explained).1, Delivery::NotSent, "{status}");
        }
    }

    #[test]
    fn the_servers_own_words_reach_the_client_without_ids_and_bodies() {
        let (_, _, sentence) = error(
            400,
            r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Unsupported protocol version: 1"}}"#,
        );
        assert!(sentence.contains("Unsupported protocol version: 1"), "{sentence}");
        let (_, _, sentence) = error(
            400,
            r#"{"error":{"code":-32602,"message":"Validation error: ROUTE\n  input_value=hush"}}"#,
        );
        assert!(sentence.contains("Validation error: …") && !sentence.contains("hush"), "{sentence}");
        let (_, _, sentence) = error(500, &format!(r#"{{"error":"{}"}}"#, "x".repeat(10_000)));
        assert!(sentence.len() < 300, "{sentence}");
    }
}
