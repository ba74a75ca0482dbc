//! URLs, read so strictly that no two programs can understand one differently (RFC 3986, and what the WHATWG URL standard makes of
//! the rest).

use std::net::{Ipv4Addr, Ipv6Addr};

/// No address that anyone uses is longer.
const LONGEST: usize = 2048;

/// An absolute `http` or `https` URL.
#[derive(Debug)]
pub(super) struct Url<'text> {
    pub(super) scheme: Scheme,
    pub(super) host: Host,
    pub(super) port: u16,
    /// The path and the query; at least `/`.
    pub(super) rest: &'text str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// A name, in lower case.
    Name(Box<str>),
}

/// A URL's text, cut at its delimiters. Nothing of it is checked but its characters.
pub(super) struct Cut<'text> {
    pub(super) scheme: Scheme,
    pub(super) host: &'text str,
    pub(super) port: Option<&'text str>,
    pub(super) rest: &'text str,
}

impl<'text> Url<'text> {
    /// Reads a URL; `None` for everything that is none beyond doubt.
    pub(super) fn parse(text: &'text str) -> Option<Self> {
        let Cut { scheme, host, port, rest } = Cut::parse(text)?;
        let port = match port {
            None => scheme.default_port(),
            Some(digits) => parse_port(digits)?,
        };
        if has_dot_segment(rest) {
            return None;
        }
        Some(Self { scheme, host: Host::parse(host)?, port, rest })
    }

    /// Whether it has the form of a queue's URL: an account and a name as its path, as AWS writes them, or what emulators put
    /// before them, and nothing more.
    pub(super) fn is_queue(&self) -> bool {
        let plain = |segment: &str| {
            !segment.is_empty()
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        let mut segments = self.rest.split('/').skip(1);
        (2..=4).contains(&segments.clone().count()) && segments.all(plain)
    }
}

impl Scheme {
    pub(super) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Host {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            return inner.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        if !is_name(text) {
            return None;
        }
        // a name that ends in a number is an IPv4 address to some programs, in any of its spellings; only the plain one is taken
        if text.rsplit('.').next().is_some_and(is_number) {
            return text.parse().ok().map(Self::V4);
        }
        Some(Self::Name(text.to_ascii_lowercase().into()))
    }

    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
            Self::Name(name) => &**name == "localhost",
        }
    }
}

impl<'text> Cut<'text> {
    pub(super) fn parse(text: &'text str) -> Option<Self> {
        let clean = text.len() <= LONGEST
            && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && !matches!(byte, b'\\' | b'#'));
        let (scheme, after) = text.split_once("://").filter(|_| clean)?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ => return None,
        };
        let (authority, rest) = after.split_at(after.find(['/', '?']).unwrap_or(after.len()));
        let rest = if rest.is_empty() { "/" } else { rest };
        // a query without a path is sent with one, so that it would not be the text that was matched
        if authority.contains('@') || !rest.starts_with('/') {
            return None;
        }
        let end_of_host = if authority.starts_with('[') { authority.find(']')? + 1 } else { 0 };
        let (host, port) = match authority[end_of_host..].find(':') {
            None => (authority, None),
            Some(colon) => {
                let (host, port) = authority.split_at(end_of_host + colon);
                (host, port.get(1..))
            }
        };
        (!host.is_empty()).then_some(Self { scheme, host, port, rest })
    }
}

pub(super) fn parse_port(digits: &str) -> Option<u16> {
    let port: u16 = digits.parse().ok().filter(|port| *port != 0)?;
    (port.to_string() == digits).then_some(port)
}

/// Whether a path has a segment that is taken away, with the one before it, before it is sent, or by a server that decodes it.
pub(super) fn has_dot_segment(rest: &str) -> bool {
    let path = rest.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let decoded = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    decoded.split('/').any(|segment| matches!(segment, "." | ".."))
}

fn is_name(text: &str) -> bool {
    text.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

/// Whether it is a number in any spelling: decimal, octal or hexadecimal.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        || label.bytes().all(|byte| byte.is_ascii_digit())
}
