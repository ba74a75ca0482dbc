//! The settings of the webhook backend.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use proxy_core::config::{Problem, Secret, byte_size, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    CallbackSettings, DEFAULT_MAX_MESSAGE, DEFAULT_TIMEOUT, client_id_problem, default_listen,
    header_problems, timeout_problem, url_problem,
};

/// The table `[backend.webhook]`: the server, and where its answers come in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhookConfig {
    /// The URL that requests are posted to. Required; asyncmcp's path is `/mcp/request`.
    pub server_url: String,
    /// What the server knows this proxy by (`X-Client-ID`): 1 to 128 visible ASCII characters, to which each session adds its own. Left
    /// out: random at each start.
    pub client_id: Option<String>,
    /// How long the server may take to be connected to, attempts that fail included, and as long again to say that it has a message.
    /// More than nothing, at most an hour. Default 30 s.
    #[serde(with = "duration", alias = "timeout_seconds")]
    #[schemars(with = "duration::Schema")]
    pub timeout: Duration,
    /// Headers of the operator's own for every request to the server. Their values are secrets.
    pub headers: BTreeMap<String, Secret>,
    /// The address and port to take callbacks on. Default `127.0.0.1:8090`: this machine only.
    pub listen: SocketAddr,
    /// Whether callbacks come to the proxy's own port, under the path of `webhook_url`, in the place of `listen`. Default `false`.
    pub share: bool,
    /// This replica's own absolute URL, as the server reaches it. Left out: `/callback` at the address of `listen`.
    pub webhook_url: String,
    /// The largest message, either way. Default 16 MiB.
    #[serde(with = "byte_size")]
    #[schemars(with = "byte_size::Schema")]
    pub max_message: usize,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            server_url: String::new(),
            client_id: None,
            timeout: DEFAULT_TIMEOUT,
            headers: BTreeMap::new(),
            listen: default_listen(),
            share: false,
            webhook_url: String::new(),
            max_message: DEFAULT_MAX_MESSAGE,
        }
    }
}

impl WebhookConfig {
    /// The settings for a server at this URL on the same machine, all else as it is by default.
    pub fn new(server_url: impl Into<String>) -> Self {
        Self { server_url: server_url.into(), ..Self::default() }
    }

    /// Everything that is wrong with these settings, keys named within the table `[backend.webhook]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(url_problem("server_url", &self.server_url, "http://127.0.0.1:8000/mcp/request"));
        problems.extend(client_id_problem(self.client_id.as_deref()));
        problems.extend(timeout_problem(self.timeout));
        problems.extend(header_problems(&self.headers));
        problems.extend(self.callback().problems());
        problems
    }

    /// Where callbacks come in.
    pub(super) fn callback(&self) -> CallbackSettings<'_> {
        CallbackSettings {
            listen: self.listen,
            share: self.share,
            webhook_url: &self.webhook_url,
            max_message: self.max_message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "http://127.0.0.1:8000/mcp/request";

    #[test]
    fn a_server_is_all_that_is_needed() {
        assert_eq!(WebhookConfig::new(SERVER).validate(), []);
        let keys: Vec<_> =
            WebhookConfig::default().validate().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["server_url"]);
    }

    #[test]
    fn the_names_of_the_python_proxy_are_taken() {
        let config: WebhookConfig = serde_json::from_str(
            r#"{"server_url": "http://localhost:8000/mcp/request", "timeout_seconds": 5, "headers": {"x-team": "hush"}}"#,
        )
        .unwrap();
        assert_eq!(config.timeout, Duration::from_secs(5));
        assert!(!format!("{config:?}").contains("hush"));
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let config = WebhookConfig {
            server_url: "localhost".to_owned(),
            client_id: Some(String::new()),
            timeout: Duration::ZERO,
            headers: BTreeMap::from([("x-session-id".to_owned(), Secret::new("x"))]),
            share: true,
            max_message: 0,
            ..WebhookConfig::default()
        };
        let keys: Vec<_> = config.validate().into_iter().map(|problem| problem.key).collect();
        assert_eq!(
            keys,
            ["server_url", "client_id", "timeout", "headers.x-session-id", "webhook_url", "max_message"]
        );
    }
}
