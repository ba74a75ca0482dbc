//! `doctor`: checks the whole way, from the configuration to an answer of the MCP server.

mod handshake;
mod worker;

use std::{io, sync::Arc, time::Duration};

use proxy_core::{Proxy, operator::Check};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use self::handshake::handshake;
use super::{FAILED, print::Checks};
use crate::{
    app::{App, Core, Parted, state_directory},
    backends,
    config::{BackendChoice, Config, Inputs, IntakeChoice, Role, load},
    signals::Signals,
    telemetry,
};

/// What the lines about the way as a whole are about.
const START: &str = "start";
const READINESS: &str = "readiness";
const END: &str = "end";

/// What to do where a server behind a transport does not answer.
const FAR_END: &str =
    "see that the MCP server runs, reads what the proxy sends to, and may answer where the proxy reads";

/// How long the backend may take to become ready. A subscription's filter takes seconds as a rule, and 15 minutes at worst.
const READY_TIME: Duration = Duration::from_mins(2);

/// How often readiness is asked for meanwhile.
const READY_INTERVAL: Duration = Duration::from_secs(1);

/// How long taking it all apart again may take.
const GRACE: Duration = Duration::from_secs(15);

/// A proxy that runs for the check.
struct Running {
    proxy: Arc<Proxy>,
    shutdown: CancellationToken,
    parts: JoinSet<anyhow::Result<()>>,
}

/// What is looked at.
enum Subject {
    Proxy(BackendChoice),
    Worker(IntakeChoice),
}

pub(super) async fn doctor(inputs: &Inputs, json: bool) -> anyhow::Result<u8> {
    let mut checks = Checks::new(json);
    if let Some((config, subject)) = configuration(inputs, &mut checks) {
        telemetry::start_quietly()?;
        match subject {
            Subject::Proxy(choice) => look(&config, &choice, &mut checks).await,
            Subject::Worker(choice) => {
                let state = state_directory(&inputs.variables);
                worker::look(&config, &choice, state.as_deref(), &mut checks).await;
            }
        }
    }
    let code = if checks.failed() == 0 { 0 } else { FAILED };
    checks.finish()?;
    Ok(code)
}

/// The configuration as it is in force, unless it cannot be.
fn configuration(inputs: &Inputs, checks: &mut Checks) -> Option<(Config, Subject)> {
    const SUBJECT: &str = "configuration";
    let (loaded, warnings) = match load(inputs) {
        Ok(loaded) => {
            let warnings = loaded.warnings.clone();
            (Ok(loaded), warnings)
        }
        Err(refused) => {
            let warnings = refused.warnings.clone();
            (Err(refused), warnings)
        }
    };
    for warning in warnings {
        checks.add(Check::warning(SUBJECT, warning, "take it out"));
    }
    match loaded {
        Ok(loaded) => {
            let (what, subject) = match loaded.role {
                Role::Proxy => {
                    let choice = loaded.config.choose_backend().ok()?;
                    (format!("valid, for the backend {}", choice.name()), Subject::Proxy(choice))
                }
                Role::Worker => {
                    let choice = loaded.config.choose_intake().ok()?;
                    (format!("valid, for a worker behind {}", choice.name()), Subject::Worker(choice))
                }
            };
            checks.add(Check::good(SUBJECT, what));
            Some((loaded.config, subject))
        }
        Err(refused) => {
            for finding in refused.problems {
                let place = finding.origin.map(|origin| format!(" ({origin})")).unwrap_or_default();
                let what = format!("{} {}{place}", finding.problem.key, finding.problem.what);
                checks.add(Check::failed(SUBJECT, what, finding.problem.instead));
            }
            None
        }
    }
}

async fn look(config: &Config, choice: &BackendChoice, checks: &mut Checks) {
    let mut config = config.clone();
    config.session.stateless = false;
    config.shutdown.grace = config.shutdown.grace.min(GRACE);
    // Callbacks that share the proxy's own port only arrive while somebody listens there.
    let early = if choice.shares_port() { Some(start(&config, true).await) } else { None };
    backends::doctor(choice, &mut |check| checks.add(check)).await;
    let started = match early {
        Some(started) => started,
        None if checks.failed() > 0 => {
            return checks.add(Check::skipped(START, "what is said above has to be mended first"));
        }
        None => start(&config, false).await,
    };
    // From here on a signal is waited for; before, it ends the process, and the next proxies remove what is left behind.
    match started.and_then(|running| Ok((running, Signals::listen()?))) {
        Ok((running, signals)) => try_out(running, signals, READY_TIME, FAR_END, checks).await,
        Err(error) if is_address_in_use(&error) => checks.add(Check::warning(
            START,
            format!("{error:#}: a proxy that runs already has it, perhaps, and then its callbacks go there"),
            "end that program and ask again, or ask the running proxy's /readyz",
        )),
        Err(error) => {
            checks.add(Check::failed(
                START,
                format!("{error:#}"),
                "look at the setting or service that it names",
            ));
        }
    }
}

/// Starts a proxy, which serves HTTP where that has to be.
async fn start(config: &Config, serve: bool) -> anyhow::Result<Running> {
    let shutdown = CancellationToken::new();
    let mut parts = JoinSet::new();
    let proxy = if serve {
        let app = Box::pin(App::build(config)).await?;
        let proxy = app.proxy();
        parts.spawn(app.run(shutdown.clone()));
        proxy
    } else {
        let Parted { core, .. } = Box::pin(Core::connect(config, config.session.clone(), &())).await?;
        return Ok(Running::over(core));
    };
    Ok(Running { proxy, shutdown, parts })
}

impl Running {
    /// A proxy without a front end.
    fn over(core: Core) -> Self {
        let shutdown = CancellationToken::new();
        let mut parts = JoinSet::new();
        let proxy = Arc::clone(&core.proxy);
        parts.spawn(core.run(shutdown.clone(), |stop| async move {
            stop.cancelled().await;
            Ok(())
        }));
        Self { proxy, shutdown, parts }
    }
}

/// Says hello to the MCP server, and takes the proxy apart again, after a signal too: nothing of it stays at the backend.
///
/// `patience` is for what has to become ready first; where there is none, `remedy` is for what is not, too.
async fn try_out(
    running: Running,
    mut signals: Signals,
    patience: Duration,
    remedy: &'static str,
    checks: &mut Checks,
) {
    let Running { proxy, shutdown, mut parts } = running;
    let asking = async {
        match until_ready(&proxy, patience, remedy).await {
            Ok(()) => handshake(&proxy, remedy, checks).await,
            Err(check) => checks.add(check),
        }
    };
    tokio::select! {
        biased;
        Some(ended) = parts.join_next() => {
            let error = ended.map_err(anyhow::Error::from).flatten().err();
            let what = error.map_or_else(|| "it ended by itself".to_owned(), |error| format!("{error:#}"));
            return checks.add(Check::failed(START, what, "look at the service that it names"));
        }
        name = signals.next() => checks.add(Check::failed(END, format!("{name} came before all was seen"), "ask again")),
        () = asking => {}
    }
    shutdown.cancel();
    while let Some(ended) = parts.join_next().await {
        if let Err(error) = ended.map_err(anyhow::Error::from).flatten() {
            let remedy = "see what it names; queues that are left behind are removed by the next proxies";
            checks.add(Check::warning(END, format!("{error:#}"), remedy));
        }
    }
}

async fn until_ready(proxy: &Arc<Proxy>, patience: Duration, remedy: &'static str) -> Result<(), Check> {
    let deadline = Instant::now() + patience;
    loop {
        let Err(error) = proxy.check().await else { return Ok(()) };
        if patience.is_zero() {
            return Err(Check::failed(READINESS, error.to_string(), remedy));
        }
        if Instant::now() >= deadline {
            return Err(Check::failed(
                READINESS,
                format!("not ready within {} s: {error}", patience.as_secs()),
                "see what it names; a new subscription's filter may take up to 15 minutes, so ask again then",
            ));
        }
        tokio::time::sleep(READY_INTERVAL).await;
    }
}

fn is_address_in_use(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    })
}
