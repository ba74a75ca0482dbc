//! The settings of the StreamableHTTP+webhook intake.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use proxy_core::config::{Problem, Secret, byte_size, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    config::{DEFAULT_MAX_MESSAGE, DEFAULT_TIMEOUT},
    intake::{IntakeSettings, default_listen},
};

/// asyncmcp's path.
const USUAL_PATH: &str = "/mcp";

/// The bounds of `keep_alive`.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(1);
const LONGEST_KEEP_ALIVE: Duration = Duration::from_hours(1);

/// The table `[intake.streamable_http_webhook]`: where the worker takes requests, and whose answers it posts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StreamableHttpIntakeConfig {
    /// The address and port to take requests on. Default `127.0.0.1:8000`: this machine only.
    pub listen: SocketAddr,
    /// The path of the MCP endpoint. Default `/mcp`, as asyncmcp has it.
    #[serde(alias = "server_path")]
    pub path: String,
    /// The tools whose answers are posted to the client's webhook, where it named one, in the place of the response. Default none.
    pub webhook_tools: Vec<String>,
    /// Whether a request is answered in JSON in the place of an event stream. What belongs to it beside its answer then comes on the
    /// session's standalone stream. Default `false`.
    pub json_response: bool,
    /// How often a comment is written to an open event stream, so that nothing on the way takes the connection for dead. 1 s to 1 h.
    /// Default 15 s.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Schema")]
    pub keep_alive: Duration,
    /// The bearer token that every request must carry. Left out: none is wanted. A proxy sends it with
    /// `headers = { Authorization = "Bearer …" }` in its `[backend.streamable_http_webhook]`.
    pub auth_token: Option<Secret>,
    /// The host names, without ports, that requests may be addressed to (`Host`) and web pages may come from (`Origin`), beside this machine's
    /// own where `listen` is on it. Empty: listening elsewhere, any host and no web page.
    pub allowed_hosts: Vec<String>,
    /// How long a client may take to take one callback. More than nothing, at most an hour. Default 30 s. A callback that fails is tried again
    /// until its answer is not waited for any more, unless it can go on the response.
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

impl Default for StreamableHttpIntakeConfig {
    fn default() -> Self {
        Self {
            listen: default_listen(),
            path: USUAL_PATH.to_owned(),
            webhook_tools: Vec::new(),
            json_response: false,
            keep_alive: Duration::from_secs(15),
            auth_token: None,
            allowed_hosts: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            headers: BTreeMap::new(),
            max_message: DEFAULT_MAX_MESSAGE,
        }
    }
}

impl StreamableHttpIntakeConfig {
    /// Everything that is wrong with these settings, keys named within the table `[intake.streamable_http_webhook]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = self.settings().problems();
        let empty = self.webhook_tools.iter().position(String::is_empty);
        problems.extend(empty.map(|index| {
            let key = format!("webhook_tools.{index}");
            Problem::new(key, "is empty", "write the name of a tool, or leave it out")
        }));
        if !(SHORTEST_KEEP_ALIVE..=LONGEST_KEEP_ALIVE).contains(&self.keep_alive) {
            problems.push(Problem::new(
                "keep_alive",
                format!("is {}", duration::format(self.keep_alive)),
                "write 1 s to 1 h, such as keep_alive = \"15s\"",
            ));
        }
        problems
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
        assert_eq!(StreamableHttpIntakeConfig::default().validate(), []);
        let config: StreamableHttpIntakeConfig = serde_json::from_str(
            r#"{"webhook_tools": ["slow"], "json_response": true, "keep_alive": "30s"}"#,
        )
        .unwrap();
        assert_eq!(config.keep_alive, Duration::from_secs(30));
        assert_eq!(config.validate(), []);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let config = StreamableHttpIntakeConfig {
            path: "mcp".to_owned(),
            webhook_tools: vec!["slow".to_owned(), String::new()],
            keep_alive: Duration::ZERO,
            max_message: 0,
            ..StreamableHttpIntakeConfig::default()
        };
        let keys: Vec<_> = config.validate().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["path", "max_message", "webhook_tools.1", "keep_alive"]);
    }
}
