//! The settings of the webhook intake.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use proxy_core::config::{Problem, Secret, byte_size, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    config::{DEFAULT_MAX_MESSAGE, DEFAULT_TIMEOUT},
    intake::{IntakeSettings, default_listen},
};

/// asyncmcp's path.
const USUAL_PATH: &str = "/mcp/request";

/// The table `[intake.webhook]`: where the worker takes requests, and how it posts answers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhookIntakeConfig {
    /// The address and port to take requests on. Default `127.0.0.1:8000`: this machine only.
    pub listen: SocketAddr,
    /// The path of requests. Default `/mcp/request`, as asyncmcp has it.
    #[serde(alias = "server_path")]
    pub path: String,
    /// The bearer token that every request must carry. Left out: none is wanted. A proxy sends it with
    /// `headers = { Authorization = "Bearer …" }` in its `[backend.webhook]`.
    pub auth_token: Option<Secret>,
    /// The host names, without ports, that requests may be addressed to (`Host`) and web pages may come from (`Origin`), beside this machine's
    /// own where `listen` is on it. Empty: listening elsewhere, any host and no web page.
    pub allowed_hosts: Vec<String>,
    /// How long a client may take to take one callback. More than nothing, at most an hour. Default 30 s. A callback that fails is tried again
    /// until its answer is not waited for any more.
    #[serde(with = "duration", alias = "timeout_seconds")]
    #[schemars(with = "duration::Schema")]
    pub timeout: Duration,
    /// Headers of the operator's own for every callback. Their values are secrets, which every client gets to see.
    pub headers: BTreeMap<String, Secret>,
    /// The largest message, either way. Default 16 MiB.
    #[serde(with = "byte_size")]
    #[schemars(with = "byte_size::Schema")]
    pub max_message: usize,
}

impl Default for WebhookIntakeConfig {
    fn default() -> Self {
        Self {
            listen: default_listen(),
            path: USUAL_PATH.to_owned(),
            auth_token: None,
            allowed_hosts: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            headers: BTreeMap::new(),
            max_message: DEFAULT_MAX_MESSAGE,
        }
    }
}

impl WebhookIntakeConfig {
    /// Everything that is wrong with these settings, keys named within the table `[intake.webhook]`.
    pub fn validate(&self) -> Vec<Problem> {
        self.settings().problems()
    }

    pub(super) fn settings(&self) -> IntakeSettings<'_> {
        IntakeSettings {
            listen: self.listen,
            path: &self.path,
            usual_path: USUAL_PATH,
            allowed_hosts: &self.allowed_hosts,
            auth_token: self.auth_token.as_ref(),
            max_message: self.max_message,
            timeout: self.timeout,
            headers: &self.headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_to_be_set() {
        assert_eq!(WebhookIntakeConfig::default().validate(), []);
        let config: WebhookIntakeConfig =
            serde_json::from_str(r#"{"server_path": "/mcp", "timeout_seconds": 5, "auth_token": "hush"}"#)
                .unwrap();
        assert_eq!((config.path.as_str(), config.timeout), ("/mcp", Duration::from_secs(5)));
        assert!(!format!("{config:?}").contains("hush"));
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let config = WebhookIntakeConfig {
            path: "/{x}".to_owned(),
            auth_token: Some(Secret::new("a b")),
            allowed_hosts: vec!["mcp.example.com".to_owned(), "::1".to_owned(), "http://x/".to_owned()],
            timeout: Duration::ZERO,
            headers: BTreeMap::from([("x-session-id".to_owned(), Secret::new("x"))]),
            max_message: 0,
            ..WebhookIntakeConfig::default()
        };
        let keys: Vec<_> = config.validate().into_iter().map(|problem| problem.key).collect();
        assert_eq!(
            keys,
            ["path", "allowed_hosts.2", "auth_token", "max_message", "timeout", "headers.x-session-id"]
        );
        for path in ["", "mcp", "/a//b", "/:x", "/*x", "/a b", "/é"] {
            let config = WebhookIntakeConfig { path: path.to_owned(), ..WebhookIntakeConfig::default() };
            assert_eq!(config.validate().len(), 1, "{path:?}");
        }
    }
}
