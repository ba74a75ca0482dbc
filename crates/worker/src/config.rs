//! The settings of the worker.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use proxy_core::{
    AddressRules,
    config::{Problem, duration},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::children::ServerConfig;

/// The table `[worker]`: what the far end may do for clients, and how it treats what comes twice. How many sessions there may be and how
/// long requests may take is said in `[session]`, as for the proxy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Where answers may be written to, since clients name the address: patterns of queue URLs, topic ARNs and webhook URLs, in
    /// which `*` stands for any characters. Left out or empty: the queues or topics of the intake's own account and region, and URLs of
    /// this machine.
    pub reply_allow: Vec<String>,
    /// How often the transport may give out a request before it is not run any more, and put into the dead-letter queue where there
    /// is one. At least 1. Default 3.
    pub max_receives: u32,
    /// No other worker reads the same queue. The worker then has no queue of its own, and its ledger alone decides whether a request
    /// that was given out before may have run. Default `false`.
    pub sole: bool,
    /// The file in which the worker writes down each call before it runs. Two workers cannot share one. Left out: one in `mcp-proxy` under
    /// `$XDG_STATE_HOME`, or under `~/.local/state`, for each worker that takes requests from the same place.
    pub ledger: Option<PathBuf>,
    /// How long a session may have nothing in flight and hear nothing from its client before it ends, and its server with it. Instead of
    /// `session.session_timeout`, which ends only sessions whose handshake was never finished. Default 1 h.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Schema")]
    pub session_timeout: Duration,
    /// The tools that may run more than once for one request, by name.
    pub rerun_tools: BTreeSet<String>,
    /// Tools that their server declares with `readOnlyHint` or `idempotentHint` may run more than once for one request, too (MCP 2025-11-25,
    /// server/tools, tool annotations: to be trusted only from servers that are). Default `false`.
    pub trust_hints: bool,
    /// The MCP server that requests are run against.
    pub server: ServerConfig,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            reply_allow: Vec::new(),
            max_receives: 3,
            sole: false,
            ledger: None,
            session_timeout: Duration::from_hours(1),
            rerun_tools: BTreeSet::new(),
            trust_hints: false,
            server: ServerConfig::default(),
        }
    }
}

impl WorkerConfig {
    /// Everything that is wrong with these settings, keys named within the table `[worker]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(AddressRules::configured("reply_allow", &self.reply_allow).err().unwrap_or_default());
        if self.max_receives == 0 {
            problems.push(Problem::new(
                "max_receives",
                "is 0, so no request would ever run",
                "write a number of at least 1, such as max_receives = 3",
            ));
        }
        if self.session_timeout.is_zero() {
            problems.push(Problem::new(
                "session_timeout",
                "is 0, so every session would end at once",
                "write a duration such as session_timeout = \"1h\"",
            ));
        }
        problems.extend(self.server.validate().into_iter().map(|problem| problem.within("server")));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_is_missing_from_the_defaults() {
        let problems = WorkerConfig::default().validate();
        assert!(problems.iter().all(|problem| problem.key.starts_with("server.")), "{problems:?}");
        let config: WorkerConfig = serde_json::from_str(r#"{"server": {"command": ["true"]}}"#).unwrap();
        assert_eq!(config.validate(), Vec::new());
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let config: WorkerConfig = serde_json::from_str(
            r#"{"max_receives": 0, "session_timeout": 0, "server": {"command": ["true"]}}"#,
        )
        .unwrap();
        let keys: Vec<String> = config.validate().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["max_receives", "session_timeout"]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<WorkerConfig>(r#"{"max_receive": 1}"#).unwrap_err();
        assert!(error.to_string().contains("max_receive"), "{error}");
    }
}
