//! Whom the front end serves, and how much of it.

use std::{
    collections::BTreeSet,
    fs,
    net::Ipv6Addr,
    path::{Path, PathBuf},
};

use proxy_core::config::{Problem, Secret, byte_size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ServerConfig;

/// The principal that the single `auth_token` proves to be.
const SINGLE_TOKEN_NAME: &str = "default";

/// The table `[security]`: whom the front end serves, and how much of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SecurityConfig {
    /// The origins of web pages that may use the proxy, such as `https://app.example.com`, besides those of this machine
    /// (MCP 2025-11-25, basic/transports: `Origin` must be checked). Default none.
    pub cors_origins: Vec<String>,
    /// Host names that clients may address the proxy by, besides those of this machine; against DNS rebinding. A name with a
    /// port allows that port only. Default none.
    pub allowed_hosts: Vec<String>,
    /// The bearer tokens that are let in, each proving a principal of its own. Default none: everybody is let in.
    pub auth_tokens: Vec<AuthToken>,
    /// A single bearer token, for the principal `default`. Default none.
    pub auth_token: Option<Secret>,
    /// Whether a bearer token is asked for. Default: when there is one. `true` without a token is a problem.
    pub auth_enabled: Option<bool>,
    /// Listen beyond this machine without asking for a token. Default `false`.
    pub allow_unauthenticated: bool,
    /// Refuse requests whose `Accept` does not name both types that MCP demands (2025-11-25, basic/transports). Default
    /// `false`: they are answered with what fits.
    pub strict_accept: bool,
    /// The largest request body in bytes; a larger one gets 413. Default 4 MiB.
    #[serde(with = "byte_size")]
    #[schemars(with = "byte_size::Schema")]
    pub max_body: usize,
    /// How many bytes of messages that clients have not taken yet, or may still resume, the process keeps. Beyond it new
    /// requests get 503. Default 256 MiB; at least `max_body`.
    #[serde(with = "byte_size")]
    #[schemars(with = "byte_size::Schema")]
    pub max_memory: usize,
}

/// An entry of `auth_tokens`: a bearer token and whom it proves to be. Exactly one of `token` and `token_file` is given.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuthToken {
    /// The principal's name, for logs and for binding sessions to it. Unique.
    pub name: String,
    /// The token itself: visible ASCII without spaces (RFC 6750 §2.1).
    pub token: Option<Secret>,
    /// A file that holds the token, relative to the folder of the configuration file; line ends after it do not count.
    pub token_file: Option<PathBuf>,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            auth_tokens: Vec::new(),
            auth_token: None,
            auth_enabled: None,
            allow_unauthenticated: false,
            strict_accept: false,
            max_body: 4 << 20,
            max_memory: 256 << 20,
        }
    }
}

impl AuthToken {
    /// A token given as text.
    pub fn new(name: impl Into<String>, token: Secret) -> Self {
        Self { name: name.into(), token: Some(token), token_file: None }
    }
}

impl SecurityConfig {
    /// Reads every `token_file` into its entry's `token`; relative paths start at `folder`. Called once, at start.
    pub fn read_token_files(&mut self, folder: &Path) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, entry) in self.auth_tokens.iter_mut().enumerate() {
            let (Some(file), None) = (&entry.token_file, &entry.token) else { continue };
            let path = folder.join(file);
            match fs::read_to_string(&path) {
                Ok(text) => entry.token = Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
                Err(error) => problems.push(Problem::new(
                    format!("auth_tokens.{index}.token_file"),
                    format!("cannot be read: {}: {error}", path.display()),
                    "write the path of a readable file that holds nothing but the token",
                )),
            }
        }
        problems
    }

    /// The tokens that are asked for, each with its principal's name. Empty when everybody is let in. To be called after
    /// [`read_token_files`](Self::read_token_files).
    pub fn tokens(&self) -> Vec<(&str, &Secret)> {
        if self.auth_enabled == Some(false) { Vec::new() } else { self.given_tokens() }
    }

    /// Everything that is wrong with these settings of a front end that listens where `server` says, keys named within the
    /// table `[security]`. To be called after [`read_token_files`](Self::read_token_files).
    pub fn validate(&self, server: &ServerConfig) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.cors_origins.iter().enumerate().filter_map(origin_problem));
        problems.extend(self.allowed_hosts.iter().enumerate().filter_map(host_problem));
        self.token_problems(&mut problems);
        let has_tokens = self.auth_token.is_some() || !self.auth_tokens.is_empty();
        if self.auth_enabled == Some(true) && !has_tokens {
            problems.push(Problem::new(
                "auth_enabled",
                "is true, but there is no token to ask for",
                "write auth_tokens = [{ name = \"…\", token_file = \"…\" }] or auth_token = \"…\"",
            ));
        }
        let asks = has_tokens && self.auth_enabled != Some(false);
        if !server.is_loopback() && !asks && !self.allow_unauthenticated {
            problems.push(Problem::new(
                "auth_tokens",
                format!(
                    "asks nobody for a token, but server.host = {:?} lets other machines in",
                    server.host
                ),
                "write auth_tokens = [{ name = \"…\", token_file = \"…\" }], or host = \"127.0.0.1\", or \
                 allow_unauthenticated = true if something in front of the proxy decides who gets in",
            ));
        }
        if self.max_body == 0 {
            problems.push(Problem::new(
                "max_body",
                "is 0, so no request would be taken",
                "write a size such as max_body = \"4MiB\"",
            ));
        }
        if self.max_memory < self.max_body {
            problems.push(Problem::new(
                "max_memory",
                format!(
                    "is {}, less than the max_body of {}",
                    byte_size::format(self.max_memory),
                    byte_size::format(self.max_body)
                ),
                "write a size such as max_memory = \"256MiB\"",
            ));
        }
        problems
    }

    fn given_tokens(&self) -> Vec<(&str, &Secret)> {
        let single = self.auth_token.iter().map(|token| (SINGLE_TOKEN_NAME, token));
        let named =
            self.auth_tokens.iter().filter_map(|entry| Some((entry.name.as_str(), entry.token.as_ref()?)));
        single.chain(named).collect()
    }

    fn token_problems(&self, problems: &mut Vec<Problem>) {
        if let Some(token) = &self.auth_token {
            problems.extend(secret_problem("auth_token", token));
        }
        let mut names = BTreeSet::new();
        if self.auth_token.is_some() {
            names.insert(SINGLE_TOKEN_NAME);
        }
        let mut tokens: BTreeSet<&str> = self.auth_token.iter().map(Secret::expose).collect();
        for (index, entry) in self.auth_tokens.iter().enumerate() {
            let at = format!("auth_tokens.{index}");
            if entry.name.trim().is_empty() || entry.name.chars().any(char::is_control) {
                problems.push(Problem::new(
                    format!("{at}.name"),
                    "is missing",
                    "write the name that sessions and logs shall know this token's holder by, such as name = \"ci\"",
                ));
            } else if !names.insert(&entry.name) {
                problems.push(Problem::new(
                    format!("{at}.name"),
                    format!("is {:?}, which another token has already", entry.name),
                    "write a name of its own for each token",
                ));
            }
            match (&entry.token, &entry.token_file) {
                (Some(token), _) => {
                    problems.extend(secret_problem(&format!("{at}.token"), token));
                    if !token.expose().is_empty() && !tokens.insert(token.expose()) {
                        problems.push(Problem::new(
                            format!("{at}.token"),
                            "is the token of another entry too, so nobody could tell the two apart",
                            "write a token of its own for each name",
                        ));
                    }
                }
                (None, None) => problems.push(Problem::new(
                    at,
                    "has no token",
                    "write token_file = \"…\", the path of a file that holds it, or token = \"…\"",
                )),
                // What is wrong with the file is said by `read_token_files`.
                (None, Some(_)) => {}
            }
        }
    }
}

fn secret_problem(key: &str, token: &Secret) -> Option<Problem> {
    let token = token.expose();
    let what = if token.is_empty() {
        "is empty"
    } else if !token.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        "has characters that no client can send in an Authorization header"
    } else {
        return None;
    };
    Some(Problem::new(
        key,
        what,
        "write a token of visible ASCII characters without spaces, at best 32 random bytes as text (`openssl rand -hex 32`)",
    ))
}

fn origin_problem((index, origin): (usize, &String)) -> Option<Problem> {
    let key = format!("cors_origins.{index}");
    let instead = "write scheme, host and port as browsers do, without a path: \"https://app.example.com\"";
    if origin == "*" {
        let what = "is \"*\", which would let every web page in the world use the proxy of whoever visits it";
        return Some(Problem::new(key, what, instead));
    }
    let parts = origin.split_once("://").filter(|(scheme, authority)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            && is_host_with_port(authority)
    });
    let Some((scheme, authority)) = parts else {
        return Some(Problem::new(key, format!("is {origin:?}, which is no origin"), instead));
    };
    // Browsers send origins in lower case and without the scheme's own port, and they are compared byte for byte.
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let authority = match scheme.as_str() {
        "http" => authority.strip_suffix(":80").unwrap_or(&authority),
        "https" => authority.strip_suffix(":443").unwrap_or(&authority),
        _ => &authority,
    };
    let sent = format!("{scheme}://{authority}");
    (sent != *origin).then(|| {
        Problem::new(key, format!("is {origin:?}, which no browser sends"), format!("write {sent:?}"))
    })
}

fn host_problem((index, host): (usize, &String)) -> Option<Problem> {
    let is_host = host.parse::<Ipv6Addr>().is_ok() || is_host_with_port(host);
    (!is_host).then(|| {
        Problem::new(
            format!("allowed_hosts.{index}"),
            format!("is {host:?}, which is no host name"),
            "write a name as it stands in URLs, with or without a port: \"mcp.example.com\"",
        )
    })
}

/// A name or address, with or without a port, as in URLs.
fn is_host_with_port(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        }
    };
    is_host && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests;
