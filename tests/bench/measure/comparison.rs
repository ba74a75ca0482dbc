//! The proxy and what it is compared with: in turns, under the same load.

use std::net::SocketAddr;

use anyhow::Result;

use super::{float, median, milliseconds, progress};
use crate::{
    figure::{Place, Report, Target},
    part::Part,
    parts::generator::{Calls, Request},
    plan::Plan,
};

/// A server under load, and what came of each round.
pub(super) struct Loaded {
    pub(super) part: Part,
    /// What it is called in the figures.
    name: &'static str,
    address: SocketAddr,
    is_mcp: bool,
    rounds: Vec<Calls>,
    /// CPU time a call in microseconds, each round.
    cpu: Vec<f64>,
}

/// The proxy and something else, under load in turns.
pub(super) struct Comparison {
    pub(super) proxy: Loaded,
    pub(super) other: Loaded,
}

/// What is demanded of the proxy beside the other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Targets {
    /// Milliseconds that the p50 may be above the other's.
    pub(super) added: Option<Target>,
    /// Per cent of the other's calls a second.
    pub(super) share: Option<Target>,
}

impl Loaded {
    pub(super) fn new(name: &'static str, (part, address): (Part, SocketAddr)) -> Self {
        Self { part, name, address, is_mcp: true, rounds: Vec::new(), cpu: Vec::new() }
    }

    /// The same, where the server answers with what it gets and knows no MCP.
    pub(super) fn bare(name: &'static str, server: (Part, SocketAddr)) -> Self {
        Self { is_mcp: false, ..Self::new(name, server) }
    }

    /// One round.
    pub(super) fn load(&mut self, generator: &mut Part, plan: &Plan, connections: usize) -> Result<()> {
        let Self { address, is_mcp, .. } = *self;
        let before = self.part.cpu_time()?;
        let (warm_up, duration) = (plan.warm_up, plan.duration);
        let calls: Calls =
            generator.ask(&Request::Load { address, is_mcp, connections, warm_up, duration })?;
        let used = self.part.cpu_time()?.saturating_sub(before);
        self.cpu.push(used.as_secs_f64() * 1e6 / float(calls.made));
        self.rounds.push(calls);
        Ok(())
    }

    /// The figures of its own, the median of all rounds.
    pub(super) fn add_figures(&self, report: &mut Report, place: Place) {
        let named = |what: &str| format!("{}, {what}", self.name);
        report.add(place, named("calls a second"), self.median(|calls| calls.per_second), "/s");
        report.add(place, named("p50"), self.median(|calls| milliseconds(calls.p50)), "ms");
        report.add(place, named("p99"), self.median(|calls| milliseconds(calls.p99)), "ms");
        report.add(place, named("CPU time a call"), median(self.cpu.clone()), "µs");
    }

    pub(super) fn rounds(&self) -> &[Calls] {
        &self.rounds
    }

    fn median(&self, of: impl Fn(&Calls) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect())
    }
}

impl Comparison {
    /// All rounds with this many connections.
    pub(super) fn run(&mut self, generator: &mut Part, plan: &Plan, connections: usize) -> Result<()> {
        let Self { proxy, other } = self;
        for round in 1..=plan.rounds {
            progress(format!(
                "{} and {}, {connections} connections, round {round} of {}",
                proxy.name, other.name, plan.rounds
            ))?;
            // Whoever comes first comes second in the next round.
            let mut turns = [&mut *proxy, &mut *other];
            if round % 2 == 0 {
                turns.reverse();
            }
            for turn in turns {
                turn.load(generator, plan, connections)?;
            }
        }
        Ok(())
    }

    /// The figures of both, and what the proxy adds and keeps.
    pub(super) fn add_figures(&self, report: &mut Report, place: Place, targets: Targets) {
        let Self { proxy, other } = self;
        proxy.add_figures(report, place);
        other.add_figures(report, place);
        // Of each round on its own, since what else the machine does changes from round to round.
        let pairs = || proxy.rounds.iter().zip(&other.rounds);
        let added =
            median(pairs().map(|(proxy, other)| milliseconds(proxy.p50) - milliseconds(other.p50)).collect());
        let share =
            median(pairs().map(|(proxy, other)| 100.0 * proxy.per_second / other.per_second).collect());
        let (added_name, share_name) = (
            format!("p50 added to that of {}", other.name),
            format!("share of the calls a second of {}", other.name),
        );
        report.add_against(place, added_name, added, "ms", targets.added);
        report.add_against(place, share_name, share, "%", targets.share);
    }
}
