//! The settings of the StreamableHTTP+webhook backend.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use proxy_core::config::{Problem, Secret, byte_size, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    CallbackSettings, DEFAULT_MAX_MESSAGE, DEFAULT_TIMEOUT, client_id_problem, default_listen,
    header_problems, timeout_problem, url_problem,
};

/// The table `[backend.streamable_http_webhook]`: the server, and where its callbacks come in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StreamableHttpConfig {
    /// The URL of the server's MCP endpoint, `http` or `https`. Required.
    pub server_url: String,
    /// This proxy's own absolute URL, as the server reaches it, for the answers of webhook tools; each session's callback URL is below
    /// it. With several replicas each has its own. Empty (`""`): the address that is listened on, for a server on this machine and
    /// `listen` on any free port. Left out: the server is given no callback URL and nothing is listened on, which is
    /// right for servers without webhooks.
    pub webhook_url: Option<String>,
    /// The address that callbacks are taken on. Default `127.0.0.1:8090`; without effect without `webhook_url` or with `share`.
    pub listen: SocketAddr,
    /// Whether callbacks are taken on the proxy's own port, below the path of `webhook_url`, in the place of `listen`. Default `false`.
    pub share: bool,
    /// What the server knows this proxy by (`X-Client-ID`, which each session's route key is added to): 1 to 128 visible ASCII
    /// characters. Left out: random at each start.
    pub client_id: Option<String>,
    /// How long the server may take to be connected to, attempts that fail included. More than nothing, at most an hour. Default 30 s.
    /// The answer has until the session's `request_timeout`.
    #[serde(with = "duration", alias = "timeout_seconds")]
    #[schemars(with = "duration::Schema")]
    pub timeout: Duration,
    /// The largest message that is sent or taken, as a size such as `"16MiB"`. Default 16 MiB.
    #[serde(with = "byte_size")]
    #[schemars(with = "byte_size::Schema")]
    pub max_message: usize,
    /// Headers of the operator's own, sent with every request to the server, such as credentials for it.
    pub headers: BTreeMap<String, Secret>,
}

impl Default for StreamableHttpConfig {
    fn default() -> Self {
        Self {
            server_url: String::new(),
            webhook_url: None,
            listen: default_listen(),
            share: false,
            client_id: None,
            timeout: DEFAULT_TIMEOUT,
            max_message: DEFAULT_MAX_MESSAGE,
            headers: BTreeMap::new(),
        }
    }
}

impl StreamableHttpConfig {
    /// The settings for a server at this URL, without callbacks, all else as it is by default.
    pub fn new(server_url: impl Into<String>) -> Self {
        Self { server_url: server_url.into(), ..Self::default() }
    }

    /// Everything that is wrong with these settings, keys named within the table `[backend.streamable_http_webhook]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(url_problem("server_url", &self.server_url, "http://localhost:8000/mcp"));
        match self.callback() {
            Some(callback) => problems.extend(callback.problems()),
            None => problems.extend(self.lone_problems()),
        }
        problems.extend(client_id_problem(self.client_id.as_deref()));
        problems.extend(timeout_problem(self.timeout));
        problems.extend(header_problems(&self.headers));
        problems
    }

    /// The settings of the callback endpoint, where there is to be one.
    pub(super) fn callback(&self) -> Option<CallbackSettings<'_>> {
        Some(CallbackSettings {
            listen: self.listen,
            share: self.share,
            webhook_url: self.webhook_url.as_deref()?,
            max_message: self.max_message,
        })
    }

    /// What is wrong without callbacks.
    fn lone_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.share {
            problems.push(Problem::new(
                "share",
                "is set, though there is no webhook_url for the server to call back to",
                "write webhook_url, or leave share out",
            ));
        }
        if self.max_message == 0 {
            problems.push(Problem::new(
                "max_message",
                "is 0, so nothing could be received",
                "write a size such as max_message = \"16MiB\"",
            ));
        }
        problems
    }
}
