//! The command line of the worker.

use clap::Args;

use super::{Layers, flag, repeated};
use crate::config::{BackendTables, Inputs, Role, canonical_backend};

/// The settings of a worker.
#[derive(Default, Args)]
#[non_exhaustive]
pub struct WorkerSettings {
    /// What every command reads.
    #[command(flatten)]
    pub layers: Layers,
    /// Take requests from this queue; for sqs and snssqs
    #[arg(long, value_name = "URL")]
    pub queue: Option<String>,
    /// Take requests at this address; for webhook and streamable-http-webhook
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Keep at most so many sessions, and so many processes [default: 100]
    #[arg(long, value_name = "NUMBER")]
    pub max_sessions: Option<String>,
    /// Use the Streamable HTTP server at this URL instead of a command
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// Give the command this environment variable; may be given several times
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub env: Vec<(String, String)>,
    /// Give the command this variable of the worker's own environment; may be given several times
    #[arg(long = "pass-env", value_name = "NAME")]
    pub pass_env: Vec<String>,
    /// Write down in this file which calls were started and answered [default: one in the state directory]
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<String>,
    /// Answer to addresses of this pattern, in which * stands for any characters; may be given several times [default: those of the
    /// intake's account and region, and of this machine]
    #[arg(long = "reply-allow", value_name = "PATTERN")]
    pub reply_allow: Vec<String>,
    /// No other worker reads this queue
    #[arg(long)]
    pub sole: bool,
    /// Serve /livez, /readyz, /health and /metrics at this address
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// The MCP server: a command and its arguments, started without a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl WorkerSettings {
    /// What the configuration is read from, `variables` being the environment.
    pub fn inputs(self, variables: Vec<(String, String)>) -> Inputs {
        // Before what else is said of it: an empty table is enough where its defaults are.
        let table = self.layers.backend.as_deref().map(canonical_backend);
        let table = table.filter(|name| BackendTables::NAMES.contains(&name.as_str()));
        let mut inputs = self.layers.inputs(variables);
        inputs.role = Some(Role::Worker);
        let chosen = table.map(|name| ("--backend".to_owned(), format!("intake.{name}"), "{}".to_owned()));
        inputs.flags.splice(..0, chosen);
        // Which table it is in is clear only once the file is read.
        let of_intake = [("queue", self.queue), ("listen", self.listen)];
        inputs.flags.extend(
            of_intake
                .into_iter()
                .filter_map(|(name, value)| Some((format!("--{name}"), format!("intake.*.{name}"), value?))),
        );
        let own = [
            ("max-sessions", self.max_sessions),
            ("upstream", self.upstream),
            ("ledger", self.ledger),
            ("sole", self.sole.then(|| "true".to_owned())),
            ("admin", self.admin),
        ];
        inputs.flags.extend(own.into_iter().filter_map(|(name, value)| flag(name, value)));
        inputs.flags.extend(self.env.into_iter().map(|(name, value)| {
            let table = serde_json::Map::from_iter([(name.clone(), value.into())]);
            (
                format!("--env {name}"),
                "worker.server.env".to_owned(),
                serde_json::Value::from(table).to_string(),
            )
        }));
        inputs.repeated_flags.extend(repeated("pass-env", self.pass_env));
        inputs.repeated_flags.extend(repeated("reply-allow", self.reply_allow));
        if !self.command.is_empty() {
            let key = "worker.server.command".to_owned();
            inputs.repeated_flags.push(("the command after --".to_owned(), key, self.command));
        }
        inputs
    }
}

impl std::fmt::Debug for WorkerSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WorkerSettings").field("layers", &self.layers).finish_non_exhaustive()
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => {
            Err("write NAME=VALUE, such as LOG_LEVEL=debug; --pass-env NAME passes one on as it is"
                .to_owned())
        }
    }
}
