//! The MCP side of the load: sessions over one connection, calls of `echo`, and the check of every answer.

use std::{borrow::Cow, fmt, net::SocketAddr, time::Duration};

use serde::Deserialize;
use tokio::time::Instant;

use super::{LoadError, connection::Connection};

/// What every session asks for: the newest revision of the legacy era.
const VERSION: &str = "2025-11-25";

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// One keep-alive connection, over which any number of sessions can talk.
#[derive(Debug)]
pub struct McpClient {
    address: SocketAddr,
    connection: Connection,
    body: Vec<u8>,
    request: Vec<u8>,
}

/// A session that was opened.
pub struct Session {
    template: Template,
    sent: u64,
}

/// A session's standalone stream, open as long as this lives.
#[derive(Debug)]
pub struct OpenStream {
    _connection: Connection,
}

impl McpClient {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Result<Self, LoadError> {
        let connection = Connection::open(address).await?;
        Ok(Self { address, connection, body: Vec::new(), request: Vec::new() })
    }

    /// Opens a session: `initialize`, then `notifications/initialized`.
    pub async fn open(&mut self) -> Result<Session, LoadError> {
        Template::new(self.address, None).post(&mut self.request, INITIALIZE.as_bytes());
        let head = self.connection.exchange(&self.request).await?;
        self.connection.expect_status(&head, 200)?;
        let answer = answer(self.connection.body(), head.is_event_stream)?;
        if answer.id != 0 || answer.result.protocol_version.as_deref() != Some(VERSION) {
            return Err(LoadError::Answer("initialize was not answered as it should be".to_owned()));
        }
        let id = head.session.ok_or_else(|| LoadError::Answer("there is no session id".to_owned()))?;
        let template = Template::new(self.address, Some(&id));
        template.post(&mut self.request, INITIALIZED.as_bytes());
        let head = self.connection.exchange(&self.request).await?;
        self.connection.expect_status(&head, 202)?;
        Ok(Session { template, sent: 0 })
    }

    /// Calls `echo`, and checks id and text of the answer. Returns how long the answer took, its check left out.
    pub async fn call(&mut self, session: &mut Session) -> Result<Duration, LoadError> {
        session.sent += 1;
        write_call(&mut self.body, session.sent);
        session.template.post(&mut self.request, &self.body);
        let begin = Instant::now();
        let head = self.connection.exchange(&self.request).await?;
        let latency = begin.elapsed();
        self.connection.expect_status(&head, 200)?;
        let answer = answer(self.connection.body(), head.is_event_stream)?;
        let text = answer.result.content.first().map(|content| content.text.as_bytes());
        if answer.id == session.sent && text == Some(text_of(session.sent).as_slice()) {
            return Ok(latency);
        }
        Err(LoadError::Answer(format!("number {} is asked for, {} answered", session.sent, answer.id)))
    }

    /// Ends a session.
    pub async fn end(&mut self, session: &mut Session) -> Result<(), LoadError> {
        session.template.bodiless(&mut self.request, "DELETE");
        let head = self.connection.exchange(&self.request).await?;
        self.connection.expect_status(&head, 200)
    }

    /// Opens the session's standalone stream over this connection, and waits for its first bytes.
    pub async fn listen(mut self, session: &Session) -> Result<OpenStream, LoadError> {
        session.template.bodiless(&mut self.request, "GET");
        let head = self.connection.begin(&self.request).await?;
        self.connection.expect_status(&head, 200)?;
        if !head.is_event_stream || !self.connection.next_chunk().await? {
            return Err(LoadError::Answer("GET did not open a stream".to_owned()));
        }
        Ok(OpenStream { _connection: self.connection })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// The heads of a session's requests.
pub(super) struct Template {
    /// The headers that every request has.
    headers: String,
}

impl Template {
    pub(super) fn new(address: SocketAddr, session: Option<&str>) -> Self {
        let mut headers = format!(" /mcp HTTP/1.1\r\nhost: {address}\r\n");
        if let Some(session) = session {
            headers.push_str("mcp-session-id: ");
            headers.push_str(session);
            headers.push_str("\r\nmcp-protocol-version: ");
            headers.push_str(VERSION);
            headers.push_str("\r\n");
        }
        Self { headers }
    }

    /// Writes a POST with this body.
    pub(super) fn post(&self, request: &mut Vec<u8>, body: &[u8]) {
        const POST: &str = "accept: application/json, text/event-stream\r\ncontent-type: application/json\r\ncontent-length: ";
        request.clear();
        for part in ["POST", &self.headers, POST] {
            request.extend_from_slice(part.as_bytes());
        }
        write_number(request, body.len() as u64);
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(body);
    }

    fn bodiless(&self, request: &mut Vec<u8>, method: &str) {
        request.clear();
        for part in [method, &self.headers, "accept: text/event-stream\r\n\r\n"] {
            request.extend_from_slice(part.as_bytes());
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Template")
    }
}

/// Writes the call with this number.
pub(super) fn write_call(body: &mut Vec<u8>, number: u64) {
    body.clear();
    body.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    write_number(body, number);
    body.extend_from_slice(br#","method":"tools/call","params":{"name":"echo","arguments":{"text":""#);
    body.extend_from_slice(&text_of(number));
    body.extend_from_slice(br#""}}}"#);
}

/// 64 bytes that name the call.
fn text_of(number: u64) -> [u8; 64] {
    let mut text = *b"the text of a call of the tool echo, number 00000000000000000000";
    let mut rest = number;
    for digit in text[44..].iter_mut().rev() {
        *digit = b"0123456789"[usize::try_from(rest % 10).unwrap_or_default()];
        rest /= 10;
    }
    text
}

fn write_number(into: &mut Vec<u8>, number: u64) {
    into.extend_from_slice(number.to_string().as_bytes());
}

#[derive(Deserialize)]
struct Answer<'text> {
    id: u64,
    #[serde(borrow)]
    result: Outcome<'text>,
}

#[derive(Deserialize)]
struct Outcome<'text> {
    #[serde(borrow, rename = "protocolVersion")]
    protocol_version: Option<Cow<'text, str>>,
    #[serde(borrow, default)]
    content: Vec<Content<'text>>,
}

#[derive(Deserialize)]
struct Content<'text> {
    #[serde(borrow)]
    text: Cow<'text, str>,
}

/// The answer in a response: the body, or the last event with data in it.
fn answer(body: &[u8], is_event_stream: bool) -> Result<Answer<'_>, LoadError> {
    let json = if is_event_stream { last_data(body).unwrap_or_default() } else { body };
    serde_json::from_slice(json)
        .map_err(|error| LoadError::Answer(format!("{error} in {}", String::from_utf8_lossy(json))))
}

fn last_data(body: &[u8]) -> Option<&[u8]> {
    body.split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"data: "))
        .rfind(|data| !data.is_empty())
}
