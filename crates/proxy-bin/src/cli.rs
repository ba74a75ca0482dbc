//! The command line.

mod help;
mod worker;

use std::{convert::Infallible, fmt, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use proxy_core::config::Secret;

pub use self::worker::WorkerSettings;

#[cfg(feature = "demo")]
use crate::config::{BackendTables, canonical_backend};
use crate::config::{CONFIG_VARIABLE, Inputs, Role};

/// Standard MCP clients on one side, an MCP server behind an async transport on the other.
#[derive(Debug, Parser)]
#[command(name = "proxy-bin", version, after_help = help::AFTER_HELP)]
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
    #[command(after_help = help::AFTER_SERVE_HELP)]
    Serve(Settings),
    /// Serve one MCP client at standard input and output
    #[command(after_help = help::AFTER_STDIO_HELP)]
    Stdio(StdioSettings),
    /// Run an MCP server behind a queue, a topic or a webhook
    #[command(after_help = help::AFTER_WORKER_HELP)]
    Worker(Box<WorkerSettings>),
    /// See all of it work, in one process: a client, the proxy, a worker and an MCP server
    #[cfg(feature = "demo")]
    #[command(after_help = help::AFTER_DEMO_HELP)]
    Demo(DemoSettings),
    /// Not in this build
    #[cfg(not(feature = "demo"))]
    #[command(hide = true, disable_help_flag = true)]
    Demo {
        /// Whatever is asked of it
        #[arg(num_args = .., allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Create, show or remove what the backend needs: queues, topics, subscriptions, policies
    #[command(after_help = help::AFTER_PROVISION_HELP)]
    Provision(ProvisionSettings),
    /// Check the whole way to the MCP server and back
    #[command(after_help = help::AFTER_DOCTOR_HELP)]
    Doctor(DoctorSettings),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a script that completes this command line in a shell
    #[command(after_help = help::AFTER_COMPLETIONS_HELP)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What to show.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
#[non_exhaustive]
pub struct DemoSettings {
    /// What lies between proxy and worker: sqs, snssqs, webhook or streamable-http-webhook
    #[arg(long, value_name = "NAME", default_value = BackendTables::NAMES[0], value_parser = known_backend)]
    pub backend: String,
    /// Let the proxy listen on this port of 127.0.0.1, and what lies between on the next; 0 takes free ones
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(..i64::from(u16::MAX)))]
    pub port: u16,
    /// End after the call that is shown
    #[arg(long)]
    pub once: bool,
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
    /// Do it for the worker's end, even though a backend is configured too
    #[arg(long)]
    pub worker: bool,
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
    pub settings: EitherSettings,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum ConfigCommand {
    /// Find everything that is wrong with it
    #[command(after_help = help::AFTER_CHECK_HELP)]
    Check(EitherSettings),
    /// Print what is in force, and where it comes from
    #[command(after_help = help::AFTER_SHOW_HELP)]
    Show(ShowFormat),
    /// Print the JSON Schema of the configuration file, for editors
    #[command(after_help = help::AFTER_SCHEMA_HELP)]
    Schema,
    /// Print what there is to configure, as Markdown
    #[command(after_help = help::AFTER_REFERENCE_HELP)]
    Reference,
}

/// How to print what is in force.
#[derive(Debug, Args)]
#[non_exhaustive]
pub struct ShowFormat {
    /// The layers.
    #[command(flatten)]
    pub settings: EitherSettings,
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

/// The settings of a proxy that serves over HTTP, or of a worker.
#[derive(Debug, Default, Args)]
#[non_exhaustive]
pub struct EitherSettings {
    /// Those of a proxy.
    #[command(flatten)]
    pub settings: Settings,
    /// Look at the worker's end, even though a backend is configured too
    #[arg(long)]
    pub worker: bool,
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
        Inputs { role: None, file: self.config, variables, flags, repeated_flags: Vec::new() }
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
        inputs.repeated_flags.extend(repeated("cors-origin", self.cors_origins));
        inputs
    }
}

impl EitherSettings {
    /// What the configuration is read from, `variables` being the environment.
    pub fn inputs(self, variables: Vec<(String, String)>) -> Inputs {
        Inputs { role: self.worker.then_some(Role::Worker), ..self.settings.inputs(variables) }
    }
}

impl ProvisionSettings {
    /// What the configuration is read from, `variables` being the environment.
    pub fn inputs(self, variables: Vec<(String, String)>) -> Inputs {
        Inputs { role: self.worker.then_some(Role::Worker), ..self.layers.inputs(variables) }
    }
}

impl StdioSettings {
    /// What the configuration is read from, `variables` being the environment.
    pub fn inputs(self, variables: Vec<(String, String)>) -> Inputs {
        let mut inputs = self.layers.inputs(variables);
        inputs.role = Some(Role::Proxy);
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
pub(crate) const FLAGS: [(&str, &str); 16] = [
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
    ("upstream", "worker.server.url"),
    ("pass-env", "worker.server.pass_env"),
    ("ledger", "worker.ledger"),
    ("reply-allow", "worker.reply_allow"),
    ("sole", "worker.sole"),
    ("admin", "admin.listen"),
];

/// What a flag that can be repeated adds to the configuration, if it is there at all.
fn repeated(name: &str, values: Vec<String>) -> Option<(String, String, Vec<String>)> {
    let key = key_of(name).filter(|_| !values.is_empty())?;
    Some((format!("--{name}"), key.to_owned(), values))
}

fn key_of(flag: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(name, _)| *name == flag).map(|(_, key)| *key)
}

/// A flag as it was written, its key, and its value.
fn flag(name: &str, value: Option<String>) -> Option<(String, String, String)> {
    Some((format!("--{name}"), key_of(name)?.to_owned(), value?))
}

#[cfg(feature = "demo")]
fn known_backend(text: &str) -> Result<String, String> {
    let name = canonical_backend(text);
    if BackendTables::NAMES.contains(&name.as_str()) {
        return Ok(name);
    }
    Err(format!("this build has {}", BackendTables::NAMES.join(", ")))
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

    /// What is broken by the edge of a terminal is no command any more once it is pasted.
    #[test]
    fn examples_fit_a_narrow_terminal() {
        fn look(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter(|line| line.starts_with("  ")) {
                assert!(line.len() <= 80, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
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
