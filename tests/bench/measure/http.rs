//! The proxy alone, in turns with a bare echo under the same load.

use anyhow::Result;

use super::{
    comparison::{Comparison, Loaded, Targets},
    memory::megabytes,
};
use crate::{
    figure::{Place, Report, Target},
    part::Part,
    parts::Role,
    plan::Plan,
};

const GROUP: Place = Place::group("Memory backend, by connections");

/// The p50 at one connection may be this much above the bare echo's.
const ADDED: Target = Target::AtMost(0.1);

/// The share of the bare echo's calls a second that is to be reached at 32 connections.
const SHARE: Target = Target::AtLeast(60.0);

pub(super) fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    for connections in [1, 32, 256] {
        // New processes each time, so that no round inherits what another left in memory.
        let proxy = Loaded::new("proxy", Part::serve(Role::MemoryProxy, &[])?);
        let other = Loaded::bare("the bare echo", Part::serve(Role::BareEcho, &[])?);
        let mut comparison = Comparison { proxy, other };
        comparison.run(&mut generator, plan, connections)?;
        let targets = match connections {
            1 => Targets { added: Some(ADDED), share: None },
            32 => Targets { added: None, share: Some(SHARE) },
            _ => Targets::default(),
        };
        comparison.add_figures(report, GROUP.at(connections), targets);
        let after = megabytes(comparison.proxy.part.resident_bytes()?);
        report.add(GROUP.at(connections), "proxy, memory afterwards", after, "MB");
    }
    Ok(())
}
