//! Where the front end listens.

use std::net::IpAddr;

use proxy_core::config::{Problem, is_plain_path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Paths that the front end serves itself.
const OWN_PATHS: [&str; 4] = ["/livez", "/readyz", "/health", "/metrics"];

/// The table `[server]`: where the front end listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address or host name to listen on. Default `127.0.0.1`: this machine only (MCP 2025-11-25, basic/transports,
    /// security warning). `0.0.0.0` and `::` are all addresses.
    pub host: String,
    /// The TCP port. Default 8080, as in the Python proxy; 0 takes a free one.
    pub port: u16,
    /// The path of the MCP endpoint. Default `/mcp`, as in the Python proxy.
    pub server_path: String,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 8080, server_path: "/mcp".to_owned() }
    }
}

impl ServerConfig {
    /// Whether only this machine can reach the front end. A host name other than `localhost` counts as reachable.
    pub fn is_loopback(&self) -> bool {
        let host = self.bare_host();
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The host without the brackets that an IPv6 address may be written with.
    pub fn bare_host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// Everything that is wrong with these settings, keys named within the table `[server]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let host = self.bare_host();
        if host.is_empty() || (host.parse::<IpAddr>().is_err() && !is_host_name(host)) {
            problems.push(Problem::new(
                "host",
                format!("is {:?}, which is neither an address nor a host name", self.host),
                "write an address such as host = \"127.0.0.1\", and the port under port",
            ));
        }
        if let Some((what, instead)) = path_problem(&self.server_path) {
            problems.push(Problem::new("server_path", what, instead));
        }
        problems
    }
}

fn is_host_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

fn path_problem(path: &str) -> Option<(String, &'static str)> {
    let instead = "write a plain path such as server_path = \"/mcp\"";
    if !path.starts_with('/') {
        return Some((format!("is {path:?}, which does not begin with a slash"), instead));
    }
    if OWN_PATHS.contains(&path) {
        return Some((format!("is {path:?}, which the proxy serves itself"), instead));
    }
    if !is_plain_path(path) {
        return Some((format!("is {path:?}, which has characters that a plain path does not have"), instead));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_host(host: &str) -> ServerConfig {
        ServerConfig { host: host.to_owned(), ..ServerConfig::default() }
    }

    #[test]
    fn the_defaults_are_valid_and_for_this_machine() {
        assert_eq!(ServerConfig::default().validate(), []);
        assert!(ServerConfig::default().is_loopback());
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        for host in ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LocalHost"] {
            assert!(with_host(host).is_loopback(), "{host}");
            assert_eq!(with_host(host).validate(), [], "{host}");
        }
        for host in ["0.0.0.0", "::", "192.168.0.1", "mcp.example.com"] {
            assert!(!with_host(host).is_loopback(), "{host}");
            assert_eq!(with_host(host).validate(), [], "{host}");
        }
    }

    #[test]
    fn what_cannot_be_listened_on_is_a_problem() {
        for host in ["", "127.0.0.1:80", "http://localhost", "a b"] {
            assert_eq!(with_host(host).validate().len(), 1, "{host}");
        }
        for path in ["", "mcp", "/health", "/a?b", "/{a}", "/a*", "//"] {
            let config = ServerConfig { server_path: path.to_owned(), ..ServerConfig::default() };
            assert_eq!(config.validate().len(), 1, "{path}");
        }
        for path in ["/", "/mcp", "/a/b/"] {
            let config = ServerConfig { server_path: path.to_owned(), ..ServerConfig::default() };
            assert_eq!(config.validate(), [], "{path}");
        }
    }
}
