//! Logs: on standard error, for humans on a terminal and as JSON elsewhere, levels by `RUST_LOG`.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Starts logging, for the whole process.
pub(crate) fn start() -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env()
        .context("RUST_LOG is not understood; write RUST_LOG=info, or RUST_LOG=info,proxy_core=debug")?;
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
