//! Reads lines within a limit: what stdio, on either side, is framed by (basic/transports, stdio).

mod outline;

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

pub use self::outline::Outline;

/// Read at once, and kept while nothing is being read.
const PIECE: usize = 64 * 1024;

/// What the other side wrote in one go.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line that is not empty, without its end.
    Whole(BytesMut),
    /// A line over the limit, as far as it was looked at.
    TooLong(Box<Outline>),
}

/// The lines of an input.
#[derive(Debug)]
pub struct Lines<I> {
    input: I,
    limit: usize,
    buffer: BytesMut,
    /// How much of the buffer has no line end in it.
    searched: usize,
    /// What is known of the line over the limit that is being passed over.
    passing: Option<Outline>,
}

impl<I: AsyncRead + Unpin> Lines<I> {
    /// The lines of `input`, of which those over `limit` bytes are not kept.
    pub fn new(input: I, limit: usize) -> Self {
        Self { input, limit, buffer: BytesMut::new(), searched: 0, passing: None }
    }

    /// The next line; `None` at the end. Dropping the future loses nothing.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let line = self.buffer.split_to(self.searched + end + 1);
                self.searched = 0;
                if let Some(line) = self.finish(line) {
                    return Ok(Some(line));
                }
                continue;
            }
            self.searched = self.buffer.len();
            if self.searched > self.limit {
                self.passing.get_or_insert_default().feed(&self.buffer);
                self.buffer.clear();
                self.searched = 0;
            }
            if self.buffer.is_empty() && self.buffer.capacity() > PIECE {
                self.buffer = BytesMut::new();
            }
            self.buffer.reserve(PIECE);
            if self.input.read_buf(&mut self.buffer).await? == 0 {
                // The last line may lack its end.
                let rest = self.buffer.split();
                self.searched = 0;
                return Ok(if rest.is_empty() && self.passing.is_none() { None } else { self.finish(rest) });
            }
        }
    }

    /// The line that ends with these bytes, unless it is empty.
    fn finish(&mut self, bytes: BytesMut) -> Option<Line> {
        let trimmed = bytes.trim_ascii();
        if self.passing.is_some() || trimmed.len() > self.limit {
            let mut outline = self.passing.take().unwrap_or_default();
            outline.feed(&bytes);
            return Some(Line::TooLong(outline.into()));
        }
        if trimmed.is_empty() {
            return None;
        }
        let start = bytes.len() - bytes.trim_ascii_start().len();
        let length = trimmed.len();
        let mut line = bytes;
        let mut line = line.split_off(start);
        line.truncate(length);
        Some(Line::Whole(line))
    }
}

/// The message as a line. Line ends can only stand between its tokens, where they mean nothing: within JSON strings they are
/// escaped (RFC 8259, section 7).
pub fn framed(mut message: String) -> Vec<u8> {
    if message.contains(['\n', '\r']) {
        message.retain(|character| !matches!(character, '\n' | '\r'));
    }
    message.push('\n');
    message.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::RequestId;

    #[test]
    fn a_message_of_many_lines_becomes_one() {
        let pretty = "{\r\n  \"jsonrpc\": \"2.0\",\n  \"result\": { \"text\": \"two\\nlines\\r\\n\" },\n  \"id\": 1\n}\n";
        let line = String::from_utf8(framed(pretty.to_owned())).unwrap();
        assert_eq!(
            line,
            "{  \"jsonrpc\": \"2.0\",  \"result\": { \"text\": \"two\\nlines\\r\\n\" },  \"id\": 1}\n"
        );
    }

    async fn lines(input: &[u8], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(input, limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().into())
    }

    #[tokio::test]
    async fn lines_are_told_apart_and_empty_ones_passed_over() {
        assert_eq!(lines(b"a\r\n\n  \nbc \n", 10).await, [whole("a"), whole("bc")]);
        assert_eq!(lines(b"a\nlast", 10).await, [whole("a"), whole("last")]);
        assert_eq!(lines(b"", 10).await, []);
    }

    /// The request that a line over the limit seems to be.
    fn too_long(line: Option<Line>) -> Option<RequestId> {
        match line {
            Some(Line::TooLong(outline)) => outline.request_id(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_line_up_to_the_limit_is_read() {
        let mut lines = Lines::new(&b"12345\r\n123456\n1\n"[..], 5);
        assert_eq!(lines.next().await.unwrap(), Some(whole("12345")));
        assert_eq!(too_long(lines.next().await.unwrap()), None);
        assert_eq!(lines.next().await.unwrap(), Some(whole("1")));
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_not_kept_but_named() {
        let request = format!(r#"{{"method":"m","params":"{}","id":9}}"#, "x".repeat(300_000));
        let text = format!("{request}\n1\n{request}");
        let mut lines = Lines::new(text.as_bytes(), 1000);
        assert_eq!(too_long(lines.next().await.unwrap()), Some(RequestId::number(9)));
        assert!(lines.buffer.capacity() <= 4 * PIECE, "{}", lines.buffer.capacity());
        assert_eq!(lines.next().await.unwrap(), Some(whole("1")));
        assert_eq!(too_long(lines.next().await.unwrap()), Some(RequestId::number(9)));
        assert_eq!(lines.next().await.unwrap(), None);
    }
}
