//! The command line.

use std::{convert::Infallible, fmt, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use proxy_core::config::Secret;

use crate::config::{CONFIG_VARIABLE, Inputs};

const AFTER_HELP: &str = "\
Examples:
  proxy-bin serve --config proxy.toml
  proxy-bin serve --set backend.sqs.read_queue_url=$QUEUE_URL
  proxy-bin config check --config proxy.toml

Logs go to standard error; RUST_LOG sets their level (RUST_LOG=debug, say).
Exit codes: 0 ended cleanly, 1 failed, 2 wrong usage or configuration.";

const AFTER_SERVE_HELP: &str = "\
Examples:
  proxy-bin serve --config proxy.toml
  proxy-bin serve --config proxy.toml --port 9090 --set session.sse_after=1s
  MCP_PROXY_BACKEND__SQS__READ_QUEUE_URL=$QUEUE_URL proxy-bin serve

Settings: defaults < file < variables (MCP_PROXY_SERVER__PORT=9090) < flags.
`proxy-bin config show` prints all of them.
SIGTERM or Ctrl-C lets requests in flight finish; a second one ends the process at once.";

const AFTER_CHECK_HELP: &str = "\
Prints every problem: where it is, what is wrong, what to write instead. Exit code 1 if there is one. Calls no service.

Example:
  proxy-bin config check --config proxy.toml";

const AFTER_SHOW_HELP: &str = "\
Prints every setting in force and where it comes from, secrets masked.

Examples:
  proxy-bin config show --config proxy.toml
  proxy-bin config show --json | jq '.[\"server.port\"]'";

/// Standard MCP clients on one side, an MCP server behind an async transport on the other.
#[derive(Debug, Parser)]
#[command(name = "proxy-bin", version, after_help = AFTER_HELP)]
#[non_exhaustive]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Serve MCP clients over HTTP
    #[command(after_help = AFTER_SERVE_HELP)]
    Serve(Settings),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum ConfigCommand {
    /// Find everything that is wrong with it
    #[command(after_help = AFTER_CHECK_HELP)]
    Check(Settings),
    /// Print what is in force, and where it comes from
    #[command(after_help = AFTER_SHOW_HELP)]
    Show(ShowFormat),
}

/// How to print what is in force.
#[derive(Debug, Args)]
#[non_exhaustive]
pub struct ShowFormat {
    /// The layers.
    #[command(flatten)]
    pub settings: Settings,
    /// Print JSON instead of TOML
    #[arg(long)]
    pub json: bool,
}

/// The layers of settings that the command line names. A flag wins over variables, and those over the file. `Debug` shows
/// the file alone, since flags may hold secrets.
#[derive(Default, Args)]
#[non_exhaustive]
pub struct Settings {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", env = CONFIG_VARIABLE, hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Use this backend; only needed when several are configured
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// Listen on this address [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Listen on this TCP port; 0 takes a free one [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Serve MCP under this path [default: /mcp]
    #[arg(long, value_name = "PATH")]
    pub server_path: Option<String>,
    /// Ask clients for this bearer token; visible in the list of processes, so better a variable or a file
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    pub auth_token: Option<Secret>,
    /// Let web pages of this origin in, besides those of this machine; may be given several times
    #[arg(long = "cors-origin", value_name = "ORIGIN")]
    pub cors_origins: Vec<String>,
    /// Keep at most so many sessions [default: 100]
    #[arg(long, value_name = "NUMBER")]
    pub max_sessions: Option<String>,
    /// Close sessions that are idle for so long, such as 300s or 1h [default: 300s]
    #[arg(long, value_name = "DURATION")]
    pub session_timeout: Option<String>,
    /// End requests that the server is silent about for so long [default: 300s]
    #[arg(long, value_name = "DURATION")]
    pub request_timeout: Option<String>,
    /// Serve without sessions (this version refuses to)
    #[arg(long)]
    pub stateless: bool,
    /// Set anything by its key; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
}

impl Settings {
    /// What the configuration is read from, `variables` being the environment.
    pub fn inputs(self, variables: Vec<(String, String)>) -> Inputs {
        let set = self.set.into_iter().map(|(key, value)| (format!("--set {key}"), key, value));
        let own = [
            ("--backend", "backend_transport", self.backend),
            ("--host", "server.host", self.host),
            ("--port", "server.port", self.port),
            ("--server-path", "server.server_path", self.server_path),
            ("--auth-token", "security.auth_token", self.auth_token.map(|token| token.expose().to_owned())),
            ("--max-sessions", "session.max_sessions", self.max_sessions),
            ("--session-timeout", "session.session_timeout", self.session_timeout),
            ("--request-timeout", "session.request_timeout", self.request_timeout),
            ("--stateless", "session.stateless", self.stateless.then(|| "true".to_owned())),
        ];
        let own =
            own.into_iter().filter_map(|(flag, key, value)| Some((flag.to_owned(), key.to_owned(), value?)));
        let origins = (!self.cors_origins.is_empty())
            .then(|| ("--cors-origin".to_owned(), "security.cors_origins".to_owned(), self.cors_origins));
        Inputs {
            file: self.config,
            variables,
            flags: set.chain(own).collect(),
            repeated_flags: origins.into_iter().collect(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Settings").field("config", &self.config).finish_non_exhaustive()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a parser that may fail")]
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as server.port=9090".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_reaches_its_setting() {
        let flags = [
            "--backend",
            "sqs",
            "--host",
            "localhost",
            "--port",
            "0",
            "--server-path",
            "/x",
            "--auth-token",
            "t",
            "--cors-origin",
            "http://a",
            "--cors-origin",
            "http://b",
            "--max-sessions",
            "5",
            "--session-timeout",
            "1m",
            "--request-timeout",
            "2m",
            "--set",
            "server.port=1",
            "--set",
            "a=b=c",
        ];
        let cli = Cli::try_parse_from(["proxy-bin", "serve"].into_iter().chain(flags)).unwrap();
        let Command::Serve(settings) = cli.command else { panic!("not serve") };
        let inputs = settings.inputs(Vec::new());
        assert_eq!(inputs.flags.len(), 10);
        assert_eq!(inputs.flags[1], ("--set a".into(), "a".into(), "b=c".into()));
        assert_eq!(inputs.repeated_flags[0].2, ["http://a", "http://b"]);
    }
}
