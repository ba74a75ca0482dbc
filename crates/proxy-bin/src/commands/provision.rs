//! `provision`: creates, shows or removes what the backend needs.

use std::io::{self, BufRead, IsTerminal, Write};

use proxy_core::operator::{Mode, Step};

use super::{FAILED, WRONG_USAGE, configured, print::Steps, warn};
use crate::{
    backends,
    config::{Inputs, Role},
    intakes, telemetry,
};

/// How to do it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) mode: Mode,
    /// Do not ask before something is removed.
    pub(super) yes: bool,
    pub(super) json: bool,
}

pub(super) async fn provision(inputs: &Inputs, options: Options) -> anyhow::Result<u8> {
    let Options { mode, yes, json } = options;
    let Some(loaded) = configured(inputs)? else { return Ok(WRONG_USAGE) };
    warn(&loaded.warnings)?;
    telemetry::start_quietly()?;
    if mode == Mode::Destroy && !yes && !is_confirmed()? {
        return Ok(WRONG_USAGE);
    }
    let mut steps = Steps::new(json, mode == Mode::DryRun);
    let mut report = |step: Step| steps.add(step);
    let config = loaded.config;
    let provisioned = match loaded.role {
        Role::Proxy => {
            let choice = config.choose_backend().map_err(|problem| anyhow::anyhow!("{problem}"))?;
            backends::provision(&choice, mode, &mut report).await
        }
        Role::Worker => {
            let choice = config.choose_intake().map_err(|problem| anyhow::anyhow!("{problem}"))?;
            let worker = config.worker.unwrap_or_default();
            intakes::provision(&choice, &worker, mode, &mut report).await
        }
    };
    match provisioned {
        Ok(policies) => {
            let policies = if mode == Mode::Destroy { Vec::new() } else { policies };
            steps.finish(&policies, None)?;
            Ok(0)
        }
        Err(error) => {
            let error = anyhow::Error::from(error);
            steps.finish(&[], Some(&error))?;
            if json { Ok(FAILED) } else { Err(error) }
        }
    }
}

/// Asks whoever sits at the terminal.
fn is_confirmed() -> io::Result<bool> {
    let mut terminal = io::stderr();
    if !io::stdin().is_terminal() || !terminal.is_terminal() {
        writeln!(
            terminal,
            "error: --destroy removes queues with what is in them; add --yes if that is meant"
        )?;
        return Ok(false);
    }
    write!(
        terminal,
        "This removes queues, topics and subscriptions that are configured, with what is in them. Go on? [y/N] "
    )?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
