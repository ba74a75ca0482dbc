//! One keep-alive HTTP/1.1 connection: requests are written as bytes, responses read to their end.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::LoadError;

/// More headers than any response here has.
const MAX_HEADERS: usize = 32;

/// How much of an unexpected body an error shows.
const SHOWN: usize = 200;

/// The connection, with its buffers, which are reused.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    body: Vec<u8>,
}

/// What matters of a response's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) session: Option<String>,
    pub(super) is_event_stream: bool,
    framing: Framing,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, LoadError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(1024), body: Vec::with_capacity(512) })
    }

    /// Sends a request and reads its response to the end, which [`Self::body`] then has.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Head, LoadError> {
        let head = self.begin(request).await?;
        match head.framing {
            Framing::Length(length) => {
                self.receive_at_least(length).await?;
                self.take(length);
            }
            Framing::Chunked => while self.next_chunk().await? {},
        }
        Ok(head)
    }

    /// Sends a request and reads the head of its response alone.
    pub(super) async fn begin(&mut self, request: &[u8]) -> Result<Head, LoadError> {
        self.stream.write_all(request).await?;
        self.body.clear();
        loop {
            if let Some((length, head)) = parse_head(&self.received)? {
                self.received.drain(..length);
                return Ok(head);
            }
            self.receive().await?;
        }
    }

    /// Reads the next chunk into the body. False: it was the last.
    pub(super) async fn next_chunk(&mut self) -> Result<bool, LoadError> {
        let (prefix, size) = loop {
            match httparse::parse_chunk_size(&self.received) {
                Ok(httparse::Status::Complete((prefix, size))) => break (prefix, size),
                Ok(httparse::Status::Partial) => self.receive().await?,
                Err(_) => return Err(LoadError::Http("a chunk has no size")),
            }
        };
        let size = usize::try_from(size).map_err(|_| LoadError::Http("a chunk is too large"))?;
        // The chunk's own line end, and that of the empty trailer after the last.
        self.receive_at_least(prefix + size + 2).await?;
        self.received.drain(..prefix);
        self.take(size);
        self.received.drain(..2);
        Ok(size > 0)
    }

    /// The body of the last response.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// An error that shows the body, where the status is another.
    pub(super) fn expect_status(&self, head: &Head, expected: u16) -> Result<(), LoadError> {
        if head.status == expected {
            return Ok(());
        }
        let shown = self.body.get(..SHOWN).unwrap_or(&self.body);
        let body = String::from_utf8_lossy(shown).into_owned();
        Err(LoadError::Status { got: head.status, expected, body })
    }

    fn take(&mut self, length: usize) {
        self.body.extend(self.received.drain(..length));
    }

    async fn receive_at_least(&mut self, length: usize) -> Result<(), LoadError> {
        while self.received.len() < length {
            self.receive().await?;
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<(), LoadError> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(LoadError::Http("the connection ended within a response")),
            _ => Ok(()),
        }
    }
}

/// The head, and how many bytes it has; `None` while it is not complete.
fn parse_head(received: &[u8]) -> Result<Option<(usize, Head)>, LoadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(received) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(LoadError::Http("the head cannot be read")),
    };
    let status = response.code.ok_or(LoadError::Http("there is no status"))?;
    let mut head = Head { status, session: None, is_event_stream: false, framing: Framing::Length(0) };
    for header in response.headers {
        let value = || std::str::from_utf8(header.value).map_err(|_| LoadError::Http("a header is no text"));
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = value()?.parse().map_err(|_| LoadError::Http("the length is no number"))?;
            head.framing = Framing::Length(length);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            head.framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("content-type") {
            head.is_event_stream = value()?.starts_with("text/event-stream");
        } else if header.name.eq_ignore_ascii_case("mcp-session-id") {
            head.session = Some(value()?.to_owned());
        }
    }
    Ok(Some((length, head)))
}
