//! Logs: on standard error, for humans on a terminal and as JSON elsewhere, levels by `RUST_LOG`.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// What the names of libraries begin with that print whole messages or credentials at levels finer than `info`.
const INDISCREET: [&str; 4] = ["aws_", "hyper", "h2", "rustls"];

/// Starts logging, for the whole process. No level shows a message's body or a secret.
pub(crate) fn start() -> anyhow::Result<()> {
    start_at(LevelFilter::INFO)
}

/// Starts logging for a command that reports what it does itself: only errors, unless more is asked for.
pub(crate) fn start_quietly() -> anyhow::Result<()> {
    start_at(LevelFilter::ERROR)
}

fn start_at(level: LevelFilter) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env()
        .context("RUST_LOG is not understood; write RUST_LOG=info, or RUST_LOG=info,proxy_core=debug")?;
    let filter = filter.and(filter_fn(|metadata| is_discreet(metadata.target(), *metadata.level())));
    let is_terminal = io::stderr().is_terminal();
    let layer = if is_terminal {
        // Colours obey NO_COLOR (no-color.org).
        fmt::layer().with_writer(io::stderr).with_target(false).boxed()
    } else {
        fmt::layer().with_writer(io::stderr).json().flatten_event(true).boxed()
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .context("logging was started twice")
}

/// Says why the process fails: in the log, or in a plain line where a human reads along or there is no log.
pub(crate) fn report(error: &anyhow::Error) {
    if tracing::enabled!(tracing::Level::ERROR) && !io::stderr().is_terminal() {
        tracing::error!(error = format!("{error:#}"), "failed");
    } else {
        // Nothing is left to do if standard error is gone too.
        drop(writeln!(io::stderr(), "error: {error:#}"));
    }
}

/// Whether what is logged under this name at this level holds no message and no secret.
fn is_discreet(target: &str, level: tracing::Level) -> bool {
    level <= tracing::Level::INFO || !INDISCREET.iter().any(|name| target.starts_with(name))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_that_print_messages_stay_at_info() {
        assert!(!is_discreet("aws_smithy_runtime::client::orchestrator", Level::DEBUG));
        assert!(is_discreet("aws_smithy_runtime::client::orchestrator", Level::WARN));
        assert!(is_discreet("backend_sqs::backend", Level::TRACE));
    }
}
