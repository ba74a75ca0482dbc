//! The command line.

use std::{convert::Infallible, fmt, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use proxy_core::config::Secret;

use crate::config::{CONFIG_VARIABLE, Inputs};

const AFTER_HELP: &str = "\
Examples:
  proxy-bin serve --config proxy.toml
  proxy-bin serve --set backend.sqs.read_queue_url=$QUEUE_URL
  proxy-bin stdio --config proxy.toml
  proxy-bin config check --config proxy.toml
  proxy-bin provision --config proxy.toml --dry-run
  proxy-bin doctor --config proxy.toml

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

const AFTER_STDIO_HELP: &str = "\
What desktop clients and editors start: one client, MCP on standard input and output, logs on standard error.
The end of the input ends the process. So does, with exit code 1, the loss of the session with the server,
since a new connection is what a client initializes again.

Examples:
  proxy-bin stdio --config proxy.toml
  claude mcp add search -- proxy-bin stdio --config /etc/mcp/proxy.toml

For Claude Desktop, in claude_desktop_config.json:
  { \"mcpServers\": { \"search\": {
      \"command\": \"proxy-bin\", \"args\": [\"stdio\", \"--config\", \"/etc/mcp/proxy.toml\"] } } }";

const AFTER_PROVISION_HELP: &str = "\
Does what is missing and nothing twice, says what it did, and prints the IAM policies that proxy and server need.
Exit code 0 if all of it is done.

--json prints { dry_run, steps: [{ change, kind, name, detail }], policies: [{ principal, document }], error };
change is created, updated, deleted, unchanged, absent or \"by hand\".

Examples:
  proxy-bin provision --config proxy.toml --dry-run
  proxy-bin provision --config proxy.toml
  proxy-bin provision --config proxy.toml --destroy --yes";

const AFTER_DOCTOR_HELP: &str = "\
Checks the configuration, what the backend needs, and then opens a session with the MCP server as a client would.
A line for each check, with the remedy where something is wrong. Exit code 0 only if nothing failed; warnings do not count.
Beside a proxy that runs it takes no answer away, though one may come some seconds later.

--json prints { ok, checks: [{ subject, verdict, what, remedy }] }; verdict is ok, warning, failed or skipped.

Examples:
  proxy-bin doctor --config proxy.toml
  proxy-bin doctor --config proxy.toml --json | jq '.checks[] | select(.verdict != \"ok\")'";

const AFTER_CHECK_HELP: &str = "\
Prints every problem: where it is, what is wrong, what to write instead. Exit code 1 if there is one. Calls no service.

Example:
  proxy-bin config check --config proxy.toml";

const AFTER_SHOW_HELP: &str = "\
Prints every setting in force and where it comes from, secrets masked.

Examples:
  proxy-bin config show --config proxy.toml
  proxy-bin config show --json | jq '.[\"server.port\"]'";

const AFTER_SCHEMA_HELP: &str = "\
An editor that knows TOML (Taplo, Even Better TOML) completes and checks a configuration file whose first line is
  #:schema ./config.schema.json

Example:
  proxy-bin config schema > config.schema.json";

const AFTER_REFERENCE_HELP: &str = "\
Example:
  proxy-bin config reference | less";

const AFTER_COMPLETIONS_HELP: &str = "\
Examples:
  proxy-bin completions bash > /etc/bash_completion.d/proxy-bin
  proxy-bin completions zsh > ~/.zfunc/_proxy-bin
  proxy-bin completions fish > ~/.config/fish/completions/proxy-bin.fish";

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
    /// Serve one MCP client at standard input and output
    #[command(after_help = AFTER_STDIO_HELP)]
    Stdio(StdioSettings),
    /// Create, show or remove what the backend needs: queues, topics, subscriptions, policies
    #[command(after_help = AFTER_PROVISION_HELP)]
    Provision(ProvisionSettings),
    /// Check the whole way to the MCP server and back
    #[command(after_help = AFTER_DOCTOR_HELP)]
    Doctor(DoctorSettings),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a script that completes this command line in a shell
    #[command(after_help = AFTER_COMPLETIONS_HELP)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What to do with what the backend needs.
#[derive(Debug, Args)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ProvisionSettings {
    /// What every command reads.
    #[command(flatten)]
    pub layers: Layers,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Remove what was created, with the messages in it
    #[arg(long, conflicts_with = "dry_run")]
    pub destroy: bool,
    /// Do not ask before something is removed
    #[arg(long, requires = "destroy")]
    pub yes: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What to check.
#[derive(Debug, Args)]
#[non_exhaustive]
pub struct DoctorSettings {
    /// The layers.
    #[command(flatten)]
    pub settings: Settings,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
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
    /// Print the JSON Schema of the configuration file, for editors
    #[command(after_help = AFTER_SCHEMA_HELP)]
    Schema,
    /// Print what there is to configure, as Markdown
    #[command(after_help = AFTER_REFERENCE_HELP)]
    Reference,
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

/// The layers of settings that every command reads. A flag wins over variables, and those over the file. `Debug` shows the file
/// alone, since flags may hold secrets.
#[derive(Default, Args)]
#[non_exhaustive]
pub struct Layers {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", env = CONFIG_VARIABLE, hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Use this backend; only needed when several are configured
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// Set anything by its key; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
}

/// The settings of a proxy that serves over HTTP.
#[derive(Debug, Default, Args)]
#[non_exhaustive]
pub struct Settings {
    /// What every command reads.
    #[command(flatten)]
    pub layers: Layers,
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
    /// Serve requests without sessions of their own, over a pool of sessions with the server
    #[arg(long)]
    pub stateless: bool,
}

/// The settings of a proxy that serves one client at standard input and output.
#[derive(Debug, Default, Args)]
#[non_exhaustive]
pub struct StdioSettings {
    /// What every command reads.
    #[command(flatten)]
    pub layers: Layers,
    /// End requests that the server is silent about for so long [default: 300s]
    #[arg(long, value_name = "DURATION")]
    pub request_timeout: Option<String>,
}

impl Layers {
    /// What the configuration is read from, `variables` being the environment.
    pub fn inputs(self, variables: Vec<(String, String)>) -> Inputs {
        let set = self.set.into_iter().map(|(key, value)| (format!("--set {key}"), key, value));
        let flags = set.chain(self.backend.and_then(|name| flag("backend", Some(name)))).collect();
        Inputs { file: self.config, variables, flags, repeated_flags: Vec::new() }
    }
}

impl Settings {
    /// What the configuration is read from, `variables` being the environment.
    pub fn inputs(self, variables: Vec<(String, String)>) -> Inputs {
        let mut inputs = self.layers.inputs(variables);
        let own = [
            ("host", self.host),
            ("port", self.port),
            ("server-path", self.server_path),
            ("auth-token", self.auth_token.map(|token| token.expose().to_owned())),
            ("max-sessions", self.max_sessions),
            ("session-timeout", self.session_timeout),
            ("request-timeout", self.request_timeout),
            ("stateless", self.stateless.then(|| "true".to_owned())),
        ];
        inputs.flags.extend(own.into_iter().filter_map(|(name, value)| flag(name, value)));
        if !self.cors_origins.is_empty()
            && let Some(key) = key_of("cors-origin")
        {
            inputs.repeated_flags.push(("--cors-origin".to_owned(), key.to_owned(), self.cors_origins));
        }
        inputs
    }
}

impl StdioSettings {
    /// What the configuration is read from, `variables` being the environment.
    pub fn inputs(self, variables: Vec<(String, String)>) -> Inputs {
        let mut inputs = self.layers.inputs(variables);
        inputs.flags.extend(flag("request-timeout", self.request_timeout));
        inputs
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Layers").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The flags that are settings, and the keys of these.
pub(crate) const FLAGS: [(&str, &str); 10] = [
    ("backend", "backend_transport"),
    ("host", "server.host"),
    ("port", "server.port"),
    ("server-path", "server.server_path"),
    ("auth-token", "security.auth_token"),
    ("cors-origin", "security.cors_origins"),
    ("max-sessions", "session.max_sessions"),
    ("session-timeout", "session.session_timeout"),
    ("request-timeout", "session.request_timeout"),
    ("stateless", "session.stateless"),
];

fn key_of(flag: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(name, _)| *name == flag).map(|(_, key)| *key)
}

/// A flag as it was written, its key, and its value.
fn flag(name: &str, value: Option<String>) -> Option<(String, String, String)> {
    Some((format!("--{name}"), key_of(name)?.to_owned(), value?))
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
