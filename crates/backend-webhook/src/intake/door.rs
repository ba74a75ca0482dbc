//! What every request has to pass before anything of it is read: the path's and method's are the endpoints' own.
//!
//! `Host` and `Origin` keep a web page from reaching a listener of this machine through a browser (2025-11-25, basic/transports,
//! security warning).

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header, request::Parts, uri::Authority};
use proxy_core::message::Message;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::{IntakeSettings, Refusal, refusal::Why, single};
use crate::http_server;

/// The most bytes of bodies that are being read, over all connections; at least two of the largest messages.
const ROOM: usize = 256 << 20;

/// The guard of one listener.
#[derive(Debug)]
pub(crate) struct Door {
    /// The digest of the token that is wanted: comparing digests takes no longer the more of the token is right.
    token: Option<[u8; 32]>,
    hosts: Vec<Box<str>>,
    is_loopback: bool,
    max_message: usize,
    /// For the bytes of all the bodies that are being read.
    room: Semaphore,
}

impl Door {
    /// The door of a listener at this address.
    pub(crate) fn new(settings: &IntakeSettings<'_>, address: IpAddr) -> Self {
        Self {
            token: settings.auth_token.map(|token| Sha256::digest(token.expose()).into()),
            hosts: settings.allowed_hosts.iter().map(|host| bare(host).into()).collect(),
            is_loopback: address.is_loopback(),
            max_message: settings.max_message,
            room: Semaphore::new(
                ROOM.max(settings.max_message.saturating_mul(2)).min(Semaphore::MAX_PERMITS),
            ),
        }
    }

    /// Whether this request may come in.
    ///
    /// # Errors
    /// 421 for another host, 403 for a web page's, 401 without the token.
    pub(crate) fn check(&self, request: &Parts) -> Result<(), Refusal> {
        self.check_host(request)?;
        self.check_origin(&request.headers)?;
        self.check_token(&request.headers)
    }

    /// Reads the one message of a body.
    ///
    /// # Errors
    /// What is larger than a message may be, does not come, or is none.
    pub(crate) async fn read(&self, body: &mut axum::body::Body) -> Result<Message, Refusal> {
        let bytes = http_server::read_within(body, self.max_message, &self.room).await?;
        let not_utf8 = |_| Refusal::from(proxy_core::message::MessageError::NotJson);
        Ok(Message::parse(String::from_utf8(bytes).map_err(not_utf8)?)?)
    }

    /// Whether the body is said to be JSON: what a web page may send without asking is not.
    ///
    /// # Errors
    /// 415.
    pub(crate) fn check_media(headers: &HeaderMap) -> Result<(), Refusal> {
        let media = single(headers, &header::CONTENT_TYPE)?.unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default();
        if media.trim().eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        let sentence = "Unsupported Media Type: Content-Type must be application/json";
        Err(Refusal::new(Why::MediaType, StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence))
    }

    fn check_host(&self, request: &Parts) -> Result<(), Refusal> {
        if !self.is_loopback && self.hosts.is_empty() {
            return Ok(());
        }
        let refused = || {
            let sentence = "the Host header names another host: the worker's allowed_hosts has to name it";
            Refusal::new(Why::Host, StatusCode::MISDIRECTED_REQUEST, sentence)
        };
        let host = single(&request.headers, &header::HOST)?.and_then(host_of).ok_or_else(refused)?;
        // a target in absolute form names the host once more (RFC 9112, section 3.2.2)
        let target = request.uri.authority().map(|target| bare(target.host()).to_owned());
        let all =
            [Some(host), target].into_iter().flatten().all(|host| is_loopback(&host) || self.names(&host));
        if all { Ok(()) } else { Err(refused()) }
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(origin) = single(headers, &header::ORIGIN)? else { return Ok(()) };
        let host = origin.split_once("://").and_then(|(_, authority)| host_of(authority));
        let may = |host: String| (self.is_loopback && is_loopback(&host)) || self.names(&host);
        if host.is_some_and(may) {
            return Ok(());
        }
        let sentence =
            "web pages of this origin may not call here: the worker's allowed_hosts has to name it";
        Err(Refusal::new(Why::Origin, StatusCode::FORBIDDEN, sentence))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(wanted) = &self.token else { return Ok(()) };
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let is_right = match (given.next(), given.next()) {
            (Some(only), None) => bearer_token(only.as_bytes())
                .is_some_and(|token| <[u8; 32]>::from(Sha256::digest(token)) == *wanted),
            _ => false,
        };
        if is_right {
            return Ok(());
        }
        let sentence = "the worker wants a bearer token, and this is not it";
        Err(Refusal::new(Why::Token, StatusCode::UNAUTHORIZED, sentence))
    }

    fn names(&self, host: &str) -> bool {
        self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

/// The token of `Bearer` credentials; the scheme's name is case-insensitive (RFC 9110, section 11.1).
fn bearer_token(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// The host of an authority, without its port and without brackets.
fn host_of(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    Some(bare(authority.host()).to_owned())
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Whether this is how this machine calls itself.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
