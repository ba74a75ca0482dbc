//! The settings of sessions and their exchanges.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Problem, duration};

/// The longest that `request_timeout_max` may be. An SQS queue keeps a message for at most 14 days, and created reply queues
/// keep theirs for an hour longer than this timeout.
const LONGEST_REQUEST: Duration = Duration::from_hours(7 * 24);

/// The table `[session]`: how long sessions and requests live, and how many there may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionConfig {
    /// How long a session may be idle before it is closed: no request in flight, no stream open. Default 300 s, as in the
    /// Python proxy.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Schema")]
    pub session_timeout: Duration,
    /// How many sessions there may be at once; one more gets 503. Default 100, as in the Python proxy. With `stateless`, how many
    /// requests are served at once; as many more wait, each for its own `request_timeout` at most, and one more than that gets
    /// 503.
    pub max_sessions: usize,
    /// Serve every HTTP request without a session. Each borrows one of a pool that the proxy itself opens at the server, by
    /// principal and protocol version; an idle one is closed after `session_timeout`. The server cannot ask the client anything,
    /// there is no standalone stream, nothing can be resumed or cancelled, and `resources/subscribe`, `resources/unsubscribe`,
    /// `logging/setLevel` and tasks get -32601. Default `false`.
    pub stateless: bool,
    /// How long the far end may be silent about a request before it is ended with an error; progress starts it anew (MCP
    /// 2025-11-25, basic/lifecycle, timeouts). Default 300 s.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Schema")]
    pub request_timeout: Duration,
    /// How long a request may take in all, progress or not (same source). Default 1 h, at most 7 days.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Schema")]
    pub request_timeout_max: Duration,
    /// How long an HTTP client waits for an answer as plain JSON before its response becomes a stream of server-sent events.
    /// Default 250 ms.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Schema")]
    pub sse_after: Duration,
    /// How many requests a session may have in flight; one more gets 429. Default 64.
    pub max_exchanges: usize,
    /// Timeouts of single tools, by the tool's name.
    pub tools: BTreeMap<String, ToolTimeouts>,
}

/// The table `[session.tools.NAME]`: what differs for calls of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ToolTimeouts {
    /// Instead of the session's `request_timeout`. Left out: the same.
    #[serde(with = "duration::option")]
    #[schemars(with = "Option<duration::Schema>")]
    pub request_timeout: Option<Duration>,
    /// Instead of the session's `request_timeout_max`. Left out: the same.
    #[serde(with = "duration::option")]
    #[schemars(with = "Option<duration::Schema>")]
    pub request_timeout_max: Option<Duration>,
}

/// How long one request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// How long the far end may be silent about it.
    pub silence: Duration,
    /// How long it may take in all.
    pub absolute: Duration,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_mins(5),
            max_sessions: 100,
            stateless: false,
            request_timeout: Duration::from_mins(5),
            request_timeout_max: Duration::from_hours(1),
            sse_after: Duration::from_millis(250),
            max_exchanges: 64,
            tools: BTreeMap::new(),
        }
    }
}

impl SessionConfig {
    /// The timeouts of a request: those of the tool that it calls, if it calls one that has its own.
    pub fn timeouts(&self, tool: Option<&str>) -> Timeouts {
        let own = tool.and_then(|name| self.tools.get(name));
        Timeouts {
            silence: own.and_then(|own| own.request_timeout).unwrap_or(self.request_timeout),
            absolute: own.and_then(|own| own.request_timeout_max).unwrap_or(self.request_timeout_max),
        }
    }

    /// Everything that is wrong with these settings, keys named within the table `[session]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.session_timeout.is_zero() {
            problems.push(Problem::new(
                "session_timeout",
                "is 0, so every session would end at once",
                "write a duration such as session_timeout = \"300s\"",
            ));
        }
        for (key, value, example) in [
            ("max_sessions", self.max_sessions, "write a number of at least 1, such as max_sessions = 100"),
            ("max_exchanges", self.max_exchanges, "write a number of at least 1, such as max_exchanges = 64"),
        ] {
            if value == 0 {
                problems.push(Problem::new(key, "is 0, so no request could be served", example));
            }
        }
        problems.extend(timeout_problems("", self.timeouts(None)));
        for (name, own) in &self.tools {
            // A value that is inherited is reported once, where it stands.
            if own.request_timeout.is_some() || own.request_timeout_max.is_some() {
                let table = format!("tools.{name}.");
                problems.extend(timeout_problems(&table, self.timeouts(Some(name))));
            }
        }
        problems
    }
}

fn timeout_problems(table: &str, timeouts: Timeouts) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Timeouts { silence, absolute } = timeouts;
    if silence.is_zero() {
        problems.push(Problem::new(
            format!("{table}request_timeout"),
            "is 0, so every request would end at once",
            "write a duration such as request_timeout = \"300s\"",
        ));
    }
    if absolute > LONGEST_REQUEST {
        problems.push(Problem::new(
            format!("{table}request_timeout_max"),
            format!("is {}, longer than queues keep messages safely", duration::format(absolute)),
            "write at most request_timeout_max = \"7days\"",
        ));
    }
    if silence > absolute {
        problems.push(Problem::new(
            format!("{table}request_timeout"),
            format!(
                "is {}, longer than the request_timeout_max of {}",
                duration::format(silence),
                duration::format(absolute)
            ),
            "write a shorter request_timeout or a longer request_timeout_max",
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> SessionConfig {
        serde_json::from_str(text).unwrap()
    }

    fn keys(config: &SessionConfig) -> Vec<String> {
        config.validate().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(keys(&SessionConfig::default()), Vec::<String>::new());
    }

    #[test]
    fn a_tool_overrides_what_it_names() {
        let config = read(r#"{"tools": {"train": {"request_timeout": "10m"}}}"#);
        let train = config.timeouts(Some("train"));
        assert_eq!(train.silence, Duration::from_mins(10));
        assert_eq!(train.absolute, Duration::from_hours(1));
        assert_eq!(config.timeouts(Some("other")), config.timeouts(None));
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let config = read(
            r#"{"session_timeout": 0, "max_sessions": 0, "request_timeout": "2h", "max_exchanges": 0,
                "tools": {"slow": {"request_timeout_max": "8days"}, "fast": {"request_timeout": 0}, "same": {}}}"#,
        );
        assert_eq!(
            keys(&config),
            [
                "session_timeout",
                "max_sessions",
                "max_exchanges",
                "request_timeout",
                "tools.fast.request_timeout",
                "tools.slow.request_timeout_max"
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<SessionConfig>(r#"{"sesion_timeout": 1}"#).unwrap_err();
        assert!(error.to_string().contains("sesion_timeout"), "{error}");
    }
}
