//! The worker's end: where requests come in, where answers may go, the ledger, and the MCP server itself.

use std::{path::Path, time::Duration};

use proxy_core::{id::InstanceId, operator::Check};

use super::{Checks, GRACE, Running, START, try_out};
use crate::{
    app::{Served, try_out_ledger},
    config::{Config, IntakeChoice},
    intakes,
    signals::Signals,
};

/// What the lines of this end are about.
const ADDRESSES: &str = "answers";
const LEDGER: &str = "ledger";

/// What to do where the worker's own server, a command, does not answer.
const COMMAND: &str = "try the command of worker.server by hand: it must speak MCP at its standard input and output, and print nothing else; \
     what it needs of the environment has to be named in env or pass_env; RUST_LOG=debug shows what it says";

/// What to do where one at a URL does not answer.
const UPSTREAM: &str = "see that an MCP server over Streamable HTTP runs at worker.server.url, and that it takes what worker.server.headers say";

pub(super) async fn look(config: &Config, choice: &IntakeChoice, state: Option<&Path>, checks: &mut Checks) {
    let mut config = config.clone();
    config.shutdown.grace = config.shutdown.grace.min(GRACE);
    let worker = config.worker.clone().unwrap_or_default();
    intakes::doctor(choice, &worker, &mut |check| checks.add(check)).await;
    checks.add(addresses(&config, choice));
    checks.add(ledger(&config, choice, state).await);
    let started = Box::pin(Served::connect(&config, InstanceId::random(), None)).await;
    let remedy = if worker.server.url.is_some() { UPSTREAM } else { COMMAND };
    match started.and_then(|served| Ok((Running::over(served.alone(&config)), Signals::listen()?))) {
        // Nothing about a server becomes ready by being waited for.
        Ok((running, signals)) => try_out(running, signals, Duration::ZERO, remedy, checks).await,
        Err(error) => {
            let remedy = "look at the setting that it names";
            checks.add(Check::failed(START, format!("{error:#}"), remedy));
        }
    }
}

/// Where answers may go.
fn addresses(config: &Config, choice: &IntakeChoice) -> Check {
    let allowed = config.worker.as_ref().map(|worker| worker.reply_allow.as_slice()).unwrap_or_default();
    let what = match (allowed, choice.has_neighbourhood()) {
        ([], true) => {
            "may go to queues and topics of the intake's own account and region, and to this machine"
                .to_owned()
        }
        ([], false) => {
            return Check::warning(
                ADDRESSES,
                "may go to callback URLs on this machine only",
                "if there are clients elsewhere, name their URLs in worker.reply_allow, such as https://proxy.example.com/*",
            );
        }
        (patterns, _) => format!("may go to {} and nowhere else", patterns.join(", ")),
    };
    Check::good(ADDRESSES, what)
}

/// Whether calls can be written down.
async fn ledger(config: &Config, choice: &IntakeChoice, state: Option<&Path>) -> Check {
    let remedy = "name a file that this worker alone can write with --ledger FILE or worker.ledger";
    let configured = config.worker.as_ref().and_then(|worker| worker.ledger.as_deref());
    match try_out_ledger(configured, state, &choice.address()).await {
        Ok(what) => Check::good(LEDGER, what),
        Err(error) => Check::failed(LEDGER, format!("{error:#}"), remedy),
    }
}
