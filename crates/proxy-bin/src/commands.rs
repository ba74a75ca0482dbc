//! What a run of the binary does.

mod configuration;
mod doctor;
mod print;
mod provision;
mod serve;
mod worker;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};
use proxy_core::operator::Mode;

#[cfg(feature = "demo")]
use crate::{cli::DemoSettings, demo};
use crate::{
    cli::{Cli, Command, ConfigCommand},
    config::{Inputs, Loaded, Refused, Role, load},
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
        Ok(Cli { command }) => Box::pin(execute(command, variables)).await,
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

async fn execute(command: Command, variables: Vec<(String, String)>) -> anyhow::Result<u8> {
    match command {
        Command::Serve(settings) => {
            serve::http(&Inputs { role: Some(Role::Proxy), ..settings.inputs(variables) }).await
        }
        Command::Stdio(settings) => serve::stdio(&settings.inputs(variables)).await,
        Command::Worker(settings) => worker::worker(&settings.inputs(variables)).await,
        #[cfg(feature = "demo")]
        Command::Demo(DemoSettings { backend, port, once, .. }) => {
            telemetry::start_quietly()?;
            demo::run(&demo::Options { backend, port, once }).await.map(|()| 0)
        }
        #[cfg(not(feature = "demo"))]
        Command::Demo { .. } => {
            writeln!(io::stderr(), "error: this build has no demo\n  build it with --features demo")?;
            Ok(WRONG_USAGE)
        }
        Command::Provision(provision) => {
            let mode = match (provision.dry_run, provision.destroy) {
                (true, _) => Mode::DryRun,
                (false, true) => Mode::Destroy,
                (false, false) => Mode::Apply,
            };
            let options = provision::Options { mode, yes: provision.yes, json: provision.json };
            provision::provision(&provision.inputs(variables), options).await
        }
        Command::Doctor(doctor) => doctor::doctor(&doctor.settings.inputs(variables), doctor.json).await,
        Command::Config(ConfigCommand::Check(settings)) => configuration::check(&settings.inputs(variables)),
        Command::Config(ConfigCommand::Show(format)) => {
            configuration::show(&format.settings.inputs(variables), format.json)
        }
        Command::Config(ConfigCommand::Schema) => configuration::schema(),
        Command::Config(ConfigCommand::Reference) => configuration::reference(),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<u8> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    io::stdout().write_all(&script)?;
    Ok(0)
}

/// The configuration; what is wrong with it is said, and `None` returned.
fn configured(inputs: &Inputs) -> anyhow::Result<Option<Loaded>> {
    match load(inputs) {
        Ok(loaded) => Ok(Some(loaded)),
        Err(refused) => {
            report(&refused)?;
            Ok(None)
        }
    }
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
