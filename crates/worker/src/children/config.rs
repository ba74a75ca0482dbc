//! The settings of the server that the worker runs, or talks to.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use proxy_core::config::{Problem, Secret, byte_size, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[worker.server]`: an ordinary MCP server, either a command that speaks stdio or a URL that speaks Streamable HTTP.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The program that speaks MCP over stdio, and its arguments, such as `["npx", "-y", "@modelcontextprotocol/server-everything"]`. It
    /// is started once a session, without a shell. A program without a slash is looked for on `PATH`. Either this or `url`.
    pub command: Vec<String>,
    /// Variables for the server's environment. Of the worker's own it gets `HOME`, `LOGNAME`, `PATH`, `SHELL`, `TERM` and `USER`, what
    /// `pass_env` names, and nothing else.
    pub env: BTreeMap<String, Secret>,
    /// The names of variables that the server gets as they are in the worker's own environment. What is not set there is left out.
    pub pass_env: Vec<String>,
    /// The directory that the server runs in. Default: the worker's own.
    pub directory: Option<PathBuf>,
    /// The most memory that a server and everything that it started may take together, as a size such as `"512MiB"`: what is resident
    /// and their own, looked at every second. A server that takes more is killed. Default: as much as it likes. Only on Linux.
    #[serde(with = "byte_size::option")]
    #[schemars(with = "Option<byte_size::Schema>")]
    pub max_memory: Option<usize>,
    /// The most processes that a server and everything that it started may be together, looked at every second. A server that is
    /// more is killed. 1 to 100,000. Default 64. Only on Linux.
    pub max_processes: usize,
    /// How long a server may take from its start to its answer to `initialize`: a first `npx` downloads what it runs. More than
    /// nothing, at most an hour. Default 60 s.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Schema")]
    pub start_timeout: Duration,
    /// How long a server has to end by itself once its input was closed. It is asked to by SIGTERM after half of the time, and killed
    /// at its end, with everything that it started. At most a minute. Default 2 s.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Schema")]
    pub stop_grace: Duration,
    /// The largest message that a server is sent or may send, as a size such as `"16MiB"`. Default 16 MiB.
    #[serde(with = "byte_size")]
    #[schemars(with = "byte_size::Schema")]
    pub max_message: usize,
    /// The URL of a server that speaks Streamable HTTP, `http` or `https`, in the place of `command`.
    pub url: Option<String>,
    /// Headers of the operator's own, sent with every request to `url`, such as credentials for it.
    pub headers: BTreeMap<String, Secret>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            env: BTreeMap::new(),
            pass_env: Vec::new(),
            directory: None,
            max_memory: None,
            max_processes: 64,
            start_timeout: Duration::from_mins(1),
            stop_grace: Duration::from_secs(2),
            max_message: 16 << 20,
            url: None,
            headers: BTreeMap::new(),
        }
    }
}

impl ServerConfig {
    /// The settings for a server that this command starts, all else as it is by default.
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { command: command.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Everything that is wrong with these settings, keys named within the table `[worker.server]`.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match (&self.url, self.command.is_empty()) {
            (None, true) => problems.push(Problem::new(
                "command",
                "is missing, and there is no url either",
                "write command = [\"npx\", \"-y\", \"some-server\"], or url = \"http://127.0.0.1:3000/mcp\"",
            )),
            (Some(_), false) => problems.push(Problem::new(
                "url",
                "is set beside command",
                "write one of them: a worker has one server",
            )),
            (Some(url), true) => problems.extend(self.problems_of_url(url)),
            (None, false) => problems.extend(self.problems_of_command()),
        }
        problems.extend(duration_problem("start_timeout", self.start_timeout, true, Duration::from_hours(1)));
        problems.extend(duration_problem("stop_grace", self.stop_grace, false, Duration::from_mins(1)));
        if self.max_message == 0 {
            problems.push(nothing("max_message", "16MiB"));
        }
        problems
    }

    fn problems_of_url(&self, url: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme)) {
            problems.push(Problem::new(
                "url",
                "is no absolute http or https URL",
                "write url = \"http://127.0.0.1:3000/mcp\"",
            ));
        }
        let only_for_commands = [
            ("env", !self.env.is_empty()),
            ("pass_env", !self.pass_env.is_empty()),
            ("directory", self.directory.is_some()),
            ("max_memory", self.max_memory.is_some()),
        ];
        for (key, _) in only_for_commands.into_iter().filter(|(_, is_set)| *is_set) {
            problems.push(Problem::new(
                key,
                "is set, though the server at url is not started by the worker",
                "leave it out, or write command in the place of url",
            ));
        }
        problems
    }

    fn problems_of_command(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.command.first().is_some_and(String::is_empty) {
            problems.push(Problem::new("command", "begins with an empty text", "begin it with a program"));
        }
        if self.command.iter().any(|part| part.contains('\0')) {
            problems.push(Problem::new("command", "has a null character in it", "write it without"));
        }
        let names = self.env.keys().map(|name| ("env", name));
        for (key, name) in names.chain(self.pass_env.iter().map(|name| ("pass_env", name))) {
            if name.is_empty() || name.contains(['=', '\0']) {
                problems.push(Problem::new(
                    key,
                    format!("has {name:?} in it, which is no name that a variable can have"),
                    "write a name such as API_KEY",
                ));
            }
        }
        for (name, _) in self.env.iter().filter(|(_, value)| value.expose().contains('\0')) {
            problems.push(Problem::new(
                format!("env.{name}"),
                "has a null character in its value",
                "write it without",
            ));
        }
        if self.max_memory == Some(0) {
            problems.push(nothing("max_memory", "512MiB"));
        }
        if !(1..=100_000).contains(&self.max_processes) {
            problems.push(Problem::new(
                "max_processes",
                format!("is {}", self.max_processes),
                "write a number from 1 to 100000, such as max_processes = 64",
            ));
        }
        if !self.headers.is_empty() {
            problems.push(Problem::new(
                "headers",
                "is set, though there is no url for them to go to",
                "leave it out, or write url in the place of command",
            ));
        }
        problems
    }
}

fn nothing(key: &str, example: &str) -> Problem {
    Problem::new(key, "is 0, so nothing would fit", format!("write a size such as {key} = {example:?}"))
}

fn duration_problem(key: &str, duration: Duration, some: bool, longest: Duration) -> Option<Problem> {
    (duration > longest || some && duration.is_zero()).then(|| {
        Problem::new(
            key,
            format!("is {}", duration::format(duration)),
            format!("write a duration of at most {}, such as {key} = \"2s\"", duration::format(longest)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &ServerConfig) -> Vec<String> {
        config.validate().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn a_server_is_a_command_or_a_url() {
        assert_eq!(keys(&ServerConfig::new(["npx", "server"])), [""; 0]);
        let url = Some("https://localhost/mcp".to_owned());
        assert_eq!(keys(&ServerConfig { url: url.clone(), ..ServerConfig::default() }), [""; 0]);
        assert_eq!(keys(&ServerConfig::default()), ["command"]);
        assert_eq!(keys(&ServerConfig { url, ..ServerConfig::new(["npx"]) }), ["url"]);
        let url = Some("localhost".to_owned());
        assert_eq!(keys(&ServerConfig { url, ..ServerConfig::default() }), ["url"]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let config = ServerConfig {
            env: [("A=B".to_owned(), Secret::new("c")), ("C".to_owned(), Secret::new("\0"))].into(),
            pass_env: vec![String::new()],
            max_memory: Some(0),
            max_processes: 0,
            start_timeout: Duration::ZERO,
            stop_grace: Duration::from_secs(61),
            max_message: 0,
            headers: [("a".to_owned(), Secret::new("b"))].into(),
            ..ServerConfig::new([""])
        };
        assert_eq!(
            keys(&config),
            [
                "command",
                "env",
                "pass_env",
                "env.C",
                "max_memory",
                "max_processes",
                "headers",
                "start_timeout",
                "stop_grace",
                "max_message"
            ]
        );
    }

    #[test]
    fn what_has_no_effect_on_a_url_is_said() {
        let config = ServerConfig {
            url: Some("http://127.0.0.1:1/mcp".to_owned()),
            pass_env: vec!["KEY".to_owned()],
            directory: Some("somewhere".into()),
            ..ServerConfig::default()
        };
        assert_eq!(keys(&config), ["pass_env", "directory"]);
    }

    #[test]
    fn values_of_variables_show_nowhere() {
        let env = [("KEY".to_owned(), Secret::new("open sesame"))].into();
        let config = ServerConfig { env, ..ServerConfig::new(["npx"]) };
        assert!(!format!("{config:?}").contains("sesame"));
        assert!(!serde_json::to_string(&config).unwrap().contains("sesame"));
    }
}
