//! The proxy alone, in turns with a bare echo under the same load.

use std::net::SocketAddr;

use anyhow::Result;

use super::{float, median, memory::megabytes, milliseconds, progress};
use crate::{
    figure::{Report, Target},
    part::Part,
    parts::{
        Role,
        generator::{Calls, Request},
    },
    plan::Plan,
};

const GROUP: &str = "memory backend";

/// The p50 at one connection may be this much above the bare echo's.
const ADDED: Target = Target::AtMost(0.1);

/// The share of the bare echo's calls a second that is to be reached at 32 connections.
const SHARE: Target = Target::AtLeast(60.0);

/// A server under load, and what came of each round.
struct Loaded {
    part: Part,
    address: SocketAddr,
    is_mcp: bool,
    rounds: Vec<Calls>,
    /// CPU time a call in microseconds, each round.
    cpu: Vec<f64>,
}

pub(super) fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    for connections in [1, 32, 256] {
        // New processes each time, so that no round inherits what another left in memory.
        let mut proxy = Loaded::start(Role::MemoryProxy, true)?;
        let mut echo = Loaded::start(Role::BareEcho, false)?;
        for round in 1..=plan.rounds {
            progress(format!(
                "proxy and bare echo, {connections} connections, round {round} of {}",
                plan.rounds
            ))?;
            // Whoever comes first comes second in the next round.
            let mut turns = [&mut proxy, &mut echo];
            if round % 2 == 0 {
                turns.reverse();
            }
            for turn in turns {
                turn.load(&mut generator, plan, connections)?;
            }
        }
        add_figures(report, connections, &proxy, &echo);
        let after = megabytes(proxy.part.resident_bytes()?);
        report.add(GROUP, named(connections, "proxy, memory afterwards"), after, "MB");
    }
    Ok(())
}

impl Loaded {
    fn start(role: Role, is_mcp: bool) -> Result<Self> {
        let (part, address) = Part::serve(role, &[])?;
        Ok(Self { part, address, is_mcp, rounds: Vec::new(), cpu: Vec::new() })
    }

    fn load(&mut self, generator: &mut Part, plan: &Plan, connections: usize) -> Result<()> {
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

    fn median(&self, of: impl Fn(&Calls) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect())
    }
}

fn named(connections: usize, what: &str) -> String {
    let plural = if connections == 1 { "" } else { "s" };
    format!("{connections} connection{plural}: {what}")
}

fn add_figures(report: &mut Report, connections: usize, proxy: &Loaded, echo: &Loaded) {
    let at = |what: &str| named(connections, what);
    let p50 = |calls: &Calls| milliseconds(calls.p50);
    let p99 = |calls: &Calls| milliseconds(calls.p99);
    for (name, loaded) in [("proxy", proxy), ("bare echo", echo)] {
        report.add(
            GROUP,
            at(&format!("{name}, calls a second")),
            loaded.median(|calls| calls.per_second),
            "/s",
        );
        report.add(GROUP, at(&format!("{name}, p50")), loaded.median(p50), "ms");
        report.add(GROUP, at(&format!("{name}, p99")), loaded.median(p99), "ms");
        report.add(GROUP, at(&format!("{name}, CPU time a call")), median(loaded.cpu.clone()), "µs");
    }
    // Of each round on its own, since what else the machine does changes from round to round.
    let pairs = || proxy.rounds.iter().zip(&echo.rounds);
    let added = median(pairs().map(|(proxy, echo)| p50(proxy) - p50(echo)).collect());
    let share = median(pairs().map(|(proxy, echo)| 100.0 * proxy.per_second / echo.per_second).collect());
    let (added_name, share_name) =
        (at("p50 added to the bare echo's"), at("share of the bare echo's calls a second"));
    if connections == 1 {
        report.add_against(GROUP, added_name, added, "ms", ADDED);
    } else {
        report.add(GROUP, added_name, added, "ms");
    }
    if connections == 32 {
        report.add_against(GROUP, share_name, share, "%", SHARE);
    } else {
        report.add(GROUP, share_name, share, "%");
    }
}
