//! Who may talk to this listener at all: the checks of `Host` and `Origin` that keep a web page from reaching it through a
//! browser (2025-11-25, basic/transports, security warning).

mod authority;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use axum::http::{HeaderValue, header, request::Parts};
use proxy_core::config::Problem;

use self::authority::{Authority, Rule};
use crate::{
    config::{SecurityConfig, ServerConfig},
    header::Single,
    rejection::Rejection,
};

/// Which `Host` and `Origin` values pass.
///
/// **`Host`** has to be there, and has to be one of: a loopback name (`localhost`, 127.0.0.0/8, `::1`), the address or name
/// that is listened on, or an entry of `allowed_hosts`. The port does not matter unless the entry has one. Listening on
/// the unspecified address (0.0.0.0, `::`), any IP address passes: DNS rebinding, which the check is for, needs a name.
///
/// **`Origin`** may be absent, since only browsers send it. If there, it has to be an entry of `cors_origins`, byte for byte,
/// or, listening on loopback, an `http` or `https` origin of a loopback name.
#[derive(Debug)]
pub(crate) struct Guard {
    hosts: Vec<Rule>,
    any_address: bool,
    origins: Vec<HeaderValue>,
    loopback_origins: bool,
}

impl Guard {
    /// The rules that the settings name. Until [`listening`](Self::listening) says where, they are those of loopback.
    pub(crate) fn new(server: &ServerConfig, security: &SecurityConfig) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut hosts = Vec::new();
        for (index, host) in security.allowed_hosts.iter().enumerate() {
            match Rule::parse(host) {
                Some(rule) => hosts.push(rule),
                None => problems.push(Problem::new(
                    format!("allowed_hosts.{index}"),
                    format!("is {host:?}, which is no host name"),
                    "write a name as it stands in URLs, with or without a port: \"mcp.example.com\"",
                )),
            }
        }
        if server.bare_host().parse::<IpAddr>().is_err() {
            hosts.extend(Rule::parse(server.bare_host()));
        }
        let mut origins = Vec::new();
        for (index, origin) in security.cors_origins.iter().enumerate() {
            match HeaderValue::from_str(origin) {
                Ok(value) => origins.push(value),
                Err(_) => problems.push(Problem::new(
                    format!("cors_origins.{index}"),
                    format!("is {origin:?}, which is no origin"),
                    "write scheme, host and port as browsers do, without a path: \"https://app.example.com\"",
                )),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { hosts, any_address: false, origins, loopback_origins: true })
    }

    /// The same rules for a listener at this address.
    pub(crate) fn listening(mut self, address: IpAddr) -> Self {
        self.any_address = address.is_unspecified();
        self.loopback_origins = address.is_loopback();
        if !self.any_address {
            self.hosts.push(Rule::address(address));
        }
        self
    }

    /// The request's `Origin`, if it has one and it may call here.
    pub(crate) fn origin<'request>(
        &self,
        request: &'request Parts,
    ) -> Result<Option<&'request HeaderValue>, Rejection> {
        match Single::of(&request.headers, &header::ORIGIN) {
            Single::Absent => Ok(None),
            Single::Value(origin) if self.allows_origin(origin) => Ok(Some(origin)),
            Single::Value(_) | Single::Repeated => Err(Rejection::OriginNotAllowed),
        }
    }

    /// Whether the request is meant for this listener.
    pub(crate) fn check_host(&self, request: &Parts) -> Result<(), Rejection> {
        let Single::Value(host) = Single::of(&request.headers, &header::HOST) else {
            return Err(Rejection::HostUnusable);
        };
        let host = host.to_str().ok().and_then(Authority::parse).ok_or(Rejection::HostUnusable)?;
        // A target in absolute form names the host once more (RFC 9112, section 3.2.2), and outranks the header.
        let target = match request.uri.authority() {
            None => None,
            Some(target) => Some(Authority::parse(target.as_str()).ok_or(Rejection::HostUnusable)?),
        };
        if [Some(host), target].into_iter().flatten().all(|authority| self.allows_host(authority)) {
            Ok(())
        } else {
            Err(Rejection::HostNotAllowed)
        }
    }

    fn allows_host(&self, host: Authority<'_>) -> bool {
        host.is_loopback()
            || (self.any_address && host.is_address())
            || self.hosts.iter().any(|rule| rule.allows(host))
    }

    fn allows_origin(&self, origin: &HeaderValue) -> bool {
        self.origins.contains(origin)
            || (self.loopback_origins
                && origin.to_str().ok().and_then(origin_host).is_some_and(Authority::is_loopback))
    }
}

/// The host of an `http` or `https` origin (RFC 6454, section 6.2).
fn origin_host(origin: &str) -> Option<Authority<'_>> {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))?;
    Authority::parse(authority)
}
