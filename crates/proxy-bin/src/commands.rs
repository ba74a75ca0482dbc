//! What a run of the binary does.

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    cli::{Cli, Command, ConfigCommand, Settings, ShowFormat},
    config::{Loaded, Refused, load},
    signals::Signals,
    telemetry,
};

/// The exit code of a run that failed.
const FAILED: u8 = 1;
/// The exit code of a wrong command line or configuration.
const WRONG_USAGE: u8 = 2;

/// Does what the arguments say, in this environment, and says how it went.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let variables =
        variables.into_iter().map(|(name, value)| (readable(name), readable(value))).collect::<Vec<_>>();
    let done = match Cli::try_parse_from(arguments) {
        Ok(Cli { command: Command::Serve(settings) }) => Box::pin(serve(settings, variables)).await,
        Ok(Cli { command: Command::Config(ConfigCommand::Check(settings)) }) => check(settings, variables),
        Ok(Cli { command: Command::Config(ConfigCommand::Show(format)) }) => show(format, variables),
        Err(error) => {
            error.print().map(|()| u8::try_from(error.exit_code()).unwrap_or(WRONG_USAGE)).map_err(Into::into)
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        // Whoever reads our output, `head` say, has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::report(&error);
            ExitCode::from(FAILED)
        }
    }
}

async fn serve(settings: Settings, variables: Vec<(String, String)>) -> anyhow::Result<u8> {
    let loaded = match load(&settings.inputs(variables)) {
        Ok(loaded) => loaded,
        Err(refused) => {
            report(&refused)?;
            return Ok(WRONG_USAGE);
        }
    };
    telemetry::start()?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // Before the backend connects, so that a signal during a slow start is not lost.
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let app = tokio::select! {
        app = App::build(&loaded.config) => app?,
        name = signals.next() => {
            tracing::info!(signal = name, "ended before it served");
            return Ok(0);
        }
    };
    app.announce();
    let shutdown = CancellationToken::new();
    let mut running = std::pin::pin!(app.run(shutdown.clone()));
    let first = tokio::select! {
        result = &mut running => return result.map(|()| 0),
        name = signals.next() => name,
    };
    tracing::info!(signal = first, "shutting down, a second signal ends the process at once");
    shutdown.cancel();
    tokio::select! {
        result = running => result.map(|()| 0),
        name = signals.next() => {
            tracing::warn!(signal = name, "ended at once, requests in flight are lost");
            Ok(FAILED)
        }
    }
}

fn check(settings: Settings, variables: Vec<(String, String)>) -> anyhow::Result<u8> {
    match load(&settings.inputs(variables)) {
        Ok(loaded) => {
            warn(&loaded.warnings)?;
            writeln!(io::stdout(), "The configuration is valid.")?;
            Ok(0)
        }
        Err(refused) => {
            report(&refused)?;
            Ok(FAILED)
        }
    }
}

fn show(format: ShowFormat, variables: Vec<(String, String)>) -> anyhow::Result<u8> {
    let loaded = match load(&format.settings.inputs(variables)) {
        Ok(loaded) => loaded,
        Err(refused) => {
            report(&refused)?;
            return Ok(FAILED);
        }
    };
    warn(&loaded.warnings)?;
    let text = if format.json { as_json(&loaded)? } else { as_toml(&loaded) };
    writeln!(io::stdout(), "{text}")?;
    Ok(0)
}

fn as_json(loaded: &Loaded) -> anyhow::Result<String> {
    let settings = loaded.settings.iter().map(|setting| {
        let origin = setting.origin.as_deref().unwrap_or("default");
        (setting.key(), serde_json::json!({ "value": setting.value, "from": origin }))
    });
    Ok(serde_json::to_string_pretty(&settings.collect::<serde_json::Map<_, _>>())?)
}

fn as_toml(loaded: &Loaded) -> String {
    let mut lines = Vec::new();
    let mut table = "";
    for setting in &loaded.settings {
        if setting.table != table {
            table = &setting.table;
            lines.push(format!("\n[{table}]"));
        }
        lines.push(setting.to_string());
    }
    lines.join("\n")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn warn(warnings: &[String]) -> io::Result<()> {
    warnings.iter().try_for_each(|warning| writeln!(io::stderr(), "warning: {warning}"))
}

fn report(refused: &Refused) -> io::Result<()> {
    warn(&refused.warnings)?;
    for finding in &refused.problems {
        writeln!(io::stderr(), "error: {finding}")?;
    }
    let count = refused.problems.len();
    writeln!(io::stderr(), "{count} {} in the configuration", if count == 1 { "problem" } else { "problems" })
}

/// Text that is not UTF-8 is no setting of ours; what it resembles is good enough for a message about it.
fn readable(text: OsString) -> String {
    text.into_string().unwrap_or_else(|text| text.to_string_lossy().into_owned())
}
