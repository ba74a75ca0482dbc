//! Where a worker can be looked at.

use std::net::SocketAddr;

use frontend_http::{SecurityConfig, ServerConfig};
use proxy_core::config::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[admin]`: where a worker serves `/livez`, `/readyz`, `/health` and `/metrics`. A proxy serves them where it listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AdminConfig {
    /// The address, such as `127.0.0.1:9090`; port 0 takes a free one. `[security]` says who may read `/health` and `/metrics`. Left
    /// out: nowhere.
    pub listen: Option<SocketAddr>,
}

impl AdminConfig {
    /// Everything that is wrong with the settings, taken together.
    pub(super) fn validate(&self, security: &SecurityConfig) -> Vec<Problem> {
        let Some(listen) = self.listen else { return Vec::new() };
        let is_open = security.tokens().is_empty() && !security.allow_unauthenticated;
        if listen.ip().is_loopback() || !is_open {
            return Vec::new();
        }
        vec![Problem::new(
            "listen",
            format!("is {listen}, which lets other machines in, and nobody is asked for a token"),
            "give security.auth_tokens, listen at 127.0.0.1, or set security.allow_unauthenticated if something in front of the worker \
             decides who gets in",
        )]
    }

    /// The same as the front end has it.
    pub(crate) fn server(listen: SocketAddr) -> ServerConfig {
        let mut server = ServerConfig::default();
        server.host = listen.ip().to_string();
        server.port = listen.port();
        server
    }
}
