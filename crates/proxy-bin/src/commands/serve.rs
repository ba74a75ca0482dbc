//! `serve` and `stdio`: run until a signal, or until the client goes.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::{FAILED, WRONG_USAGE, configured};
use crate::{
    app::{App, StdioApp},
    config::{Config, Inputs, Loaded},
    signals::Signals,
    telemetry,
};

/// Serves clients over HTTP.
pub(super) async fn http(inputs: &Inputs) -> anyhow::Result<u8> {
    let Some(config) = begin(inputs)? else { return Ok(WRONG_USAGE) };
    until_signalled(Box::pin(App::build(&config)), config.shutdown.grace, |app: App, shutdown| {
        if !shutdown.is_cancelled() {
            app.announce();
        }
        Box::pin(app.run(shutdown))
    })
    .await
}

/// Serves the client at standard input and output.
pub(super) async fn stdio(inputs: &Inputs) -> anyhow::Result<u8> {
    let Some(config) = begin(inputs)? else { return Ok(WRONG_USAGE) };
    if config.session.stateless {
        tracing::warn!("session.stateless has no effect over stdio: the connection is the client's session");
    }
    until_signalled(Box::pin(StdioApp::build(&config)), config.shutdown.grace, |app: StdioApp, shutdown| {
        if !shutdown.is_cancelled() {
            app.announce();
        }
        Box::pin(app.run(tokio::io::stdin(), tokio::io::stdout(), shutdown))
    })
    .await
}

/// Reads the configuration and starts the log. `None`: something is wrong, and it was said.
pub(super) fn begin(inputs: &Inputs) -> anyhow::Result<Option<Config>> {
    let Some(Loaded { config, warnings, .. }) = configured(inputs)? else { return Ok(None) };
    telemetry::start()?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    Ok(Some(config))
}

/// Builds and runs an app. The first signal drains it, the second ends the process.
pub(super) async fn until_signalled<A, R>(
    mut building: Pin<Box<impl Future<Output = anyhow::Result<A>>>>,
    grace: Duration,
    run: impl FnOnce(A, CancellationToken) -> R,
) -> anyhow::Result<u8>
where
    R: Future<Output = anyhow::Result<()>>,
{
    // Before the backend connects, so that a signal during a slow start is not lost.
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let shutdown = CancellationToken::new();
    let app = tokio::select! {
        app = &mut building => app?,
        name = signals.next() => {
            tracing::info!(signal = name, "ending before it served, a second signal ends the process at once");
            // The start goes on to its end, since only then what it has created can be taken back.
            shutdown.cancel();
            let undone = async {
                match building.await {
                    Ok(app) => run(app, shutdown).await,
                    Err(error) => Err(error),
                }
            };
            return tokio::select! {
                undone = tokio::time::timeout(grace, undone) => {
                    let late = "the start did not end in time: something may be left behind at the backend";
                    undone.context(late)?.map(|()| 0)
                }
                name = signals.next() => Ok(ended_at_once(name)),
            };
        }
    };
    let mut running = pin!(run(app, shutdown.clone()));
    let first = tokio::select! {
        result = &mut running => return result.map(|()| 0),
        name = signals.next() => name,
    };
    tracing::info!(signal = first, "shutting down, a second signal ends the process at once");
    shutdown.cancel();
    tokio::select! {
        result = running => result.map(|()| 0),
        name = signals.next() => Ok(ended_at_once(name)),
    }
}

fn ended_at_once(signal: &str) -> u8 {
    tracing::warn!(signal, "ended at once, requests in flight are lost");
    FAILED
}
