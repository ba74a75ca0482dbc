//! Host names and addresses with an optional port, as `Host` and `Origin` carry them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host and perhaps a port, borrowed from a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'text> {
    host: Host<'text>,
    port: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host<'text> {
    /// Without the dot of a fully qualified name.
    Name(&'text str),
    Address(IpAddr),
}

/// A host that is allowed, at one port or at any.
#[derive(Debug)]
pub(super) struct Rule {
    host: OwnedHost,
    port: Option<u16>,
}

#[derive(Debug)]
enum OwnedHost {
    Name(Box<str>),
    Address(IpAddr),
}

impl<'text> Authority<'text> {
    /// Reads `name`, `name:port`, `1.2.3.4`, `[::1]` and the like; an IPv6 address may stand without brackets and port.
    pub(super) fn parse(text: &'text str) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(Self { host: Host::Address(address.into()), port: None });
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            let host = Host::Address(address.parse::<Ipv6Addr>().ok()?.into());
            return match rest.strip_prefix(':') {
                Some(port) => Some(Self { host, port: Some(parse_port(port)?) }),
                None => rest.is_empty().then_some(Self { host, port: None }),
            };
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(parse_port(port)?)),
            None => (text, None),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Some(Self { host: Host::Address(address.into()), port });
        }
        is_name(name).then_some(Self { host: Host::Name(name), port })
    }

    /// Whether it is this machine, as it calls itself.
    pub(super) fn is_loopback(self) -> bool {
        match self.host {
            Host::Name(name) => name.eq_ignore_ascii_case("localhost"),
            Host::Address(address) => address.is_loopback(),
        }
    }

    /// Whether it is an address rather than a name.
    pub(super) fn is_address(self) -> bool {
        matches!(self.host, Host::Address(_))
    }
}

impl Rule {
    /// Reads an entry of `allowed_hosts`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Authority { host, port } = Authority::parse(text)?;
        let host = match host {
            Host::Name(name) => OwnedHost::Name(name.into()),
            Host::Address(address) => OwnedHost::Address(address),
        };
        Some(Self { host, port })
    }

    /// This address, at any port.
    pub(super) fn address(address: IpAddr) -> Self {
        Self { host: OwnedHost::Address(address), port: None }
    }

    /// A client leaves the port out where it is its scheme's own, and the scheme may have ended at a load balancer.
    pub(super) fn allows(&self, authority: Authority<'_>) -> bool {
        let host = match (&self.host, authority.host) {
            (OwnedHost::Name(allowed), Host::Name(name)) => allowed.eq_ignore_ascii_case(name),
            (OwnedHost::Address(allowed), Host::Address(address)) => *allowed == address,
            _ => false,
        };
        host && match (self.port, authority.port) {
            (None, _) => true,
            (Some(allowed), Some(port)) => allowed == port,
            (Some(allowed), None) => matches!(allowed, 80 | 443),
        }
    }
}

fn parse_port(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
