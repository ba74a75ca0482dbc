//! asyncmcp's own proxy and this one, in turns, on the same emulator and in front of the same asyncmcp server.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    fixtures::{self, Served},
    process::Process,
};

use super::{binary, float, median, memory::megabytes, milliseconds, progress, queues::Transport};
use crate::{
    figure::{Place, Report},
    part::Part,
    parts::{
        Role, far_end::Ready, generator::Calls, in_flight::Request, requests::Kind, session_loop::Answered,
    },
    plan::Plan,
    usage,
};

const GROUP: Place = Place::group(
    "asyncmcp's proxy and this one, SQS emulator, one session, an asyncmcp server, by calls in flight",
);

/// What is said of calls that no answer came to.
const LOST: &str = "calls that were never answered";

/// A proxy with one session, and what came of each round.
struct Driven {
    name: &'static str,
    process: u32,
    session: Part,
    /// Those in which all calls were answered.
    rounds: Vec<(Calls, f64)>,
    /// The calls that were never answered.
    lost: u64,
}

pub(super) async fn measure(proxy: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    if !fixtures::are_installed() {
        return progress("asyncmcp's proxy is left out: `cargo xtask setup` installs it");
    }
    for in_flight in [1, 32] {
        let (_emulator, ready): (_, Ready) = Part::start(Role::Emulator, &[])?;
        let served = Served::Sqs { endpoint: ready.endpoint.clone(), queue: ready.requests.clone() };
        let (_server, _) = fixtures::server(&served).await?;
        let (theirs, their_address) = start_theirs(&ready).await?;
        let (ours, address) = binary::start(proxy, &Transport::Sqs.settings(&ready)).await?;
        let mut theirs = Driven::new("asyncmcp's proxy", theirs.id().context("it ended")?, their_address)?;
        let mut ours = Driven::new("this proxy", ours.process(), address)?;
        for round in 1..=plan.rounds_of_ways {
            progress(format!(
                "asyncmcp's proxy and this one, {in_flight} calls in flight, round {round} of {}",
                plan.rounds_of_ways
            ))?;
            for driven in [&mut theirs, &mut ours] {
                driven.load(plan, in_flight)?;
            }
        }
        ensure!(ours.lost == 0, "{} calls through this proxy were never answered", ours.lost);
        for driven in [theirs, ours] {
            driven.add_figures(report, GROUP.at(in_flight))?;
        }
    }
    Ok(())
}

/// Its proxy with the settings that it has by default, on a free port. Answers come to the queue that the bare loop has elsewhere.
async fn start_theirs(ready: &Ready) -> Result<(Process, SocketAddr)> {
    let address = binary::free_address()?;
    let process =
        fixtures::asyncmcp_proxy(&ready.endpoint, &ready.requests, &ready.bare_replies, address.port())
            .await?;
    Ok((process, address))
}

impl Driven {
    fn new(name: &'static str, process: u32, address: SocketAddr) -> Result<Self> {
        let url = format!("http://{address}/mcp");
        let (session, ()) = Part::start(Role::SessionLoop, &["--server-url", &url])?;
        Ok(Self { name, process, session, rounds: Vec::new(), lost: 0 })
    }

    fn load(&mut self, plan: &Plan, in_flight: usize) -> Result<()> {
        let before = usage::cpu_time(self.process)?;
        let (warm_up, duration) = (plan.warm_up, plan.duration);
        let Answered { calls, lost } =
            self.session.ask(&Request { in_flight, kind: Kind::Call, warm_up, duration })?;
        let used = usage::cpu_time(self.process)?.saturating_sub(before);
        self.lost += lost;
        if lost == 0 {
            self.rounds.push((calls, used.as_secs_f64() * 1e6 / float(calls.made)));
        }
        Ok(())
    }

    fn add_figures(&self, report: &mut Report, place: Place) -> Result<()> {
        let named = |what: &str| format!("{}, {what}", self.name);
        let of = |of: fn(&(Calls, f64)) -> f64| median(self.rounds.iter().map(of).collect());
        report.add(place, named(LOST), float(self.lost), "");
        if self.rounds.is_empty() {
            return Ok(());
        }
        report.add(place, named("calls a second"), of(|(calls, _)| calls.per_second), "/s");
        report.add(place, named("p50"), of(|(calls, _)| milliseconds(calls.p50)), "ms");
        report.add(place, named("p99"), of(|(calls, _)| milliseconds(calls.p99)), "ms");
        report.add(place, named("CPU time a call"), of(|(_, cpu)| *cpu), "µs");
        let memory = megabytes(usage::resident_bytes(self.process)?);
        report.add(place, named("memory afterwards"), memory, "MB");
        Ok(())
    }
}
