//! What sessions and streams take.

use anyhow::Result;

use super::{float, progress};
use crate::{
    figure::{Report, Target},
    part::Part,
    parts::{Role, generator::Request},
    plan::Plan,
    usage,
};

const GROUP: &str = "memory";

/// An idle session, in bytes: 5 KB.
const SESSION: Target = Target::AtMost(5_000.0);

/// A session with an open GET stream, its connection included, in bytes: 25 KB.
const SESSION_WITH_STREAM: Target = Target::AtMost(25_000.0);

/// Files that a process has open besides its connections.
const OTHER_FILES: usize = 64;

pub(super) fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    idle_sessions(plan, report)?;
    open_streams(plan, report)
}

fn idle_sessions(plan: &Plan, report: &mut Report) -> Result<()> {
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    let (proxy, address) = Part::serve(Role::MemoryProxy, &[])?;
    // What the first session loads into memory is not the sessions'.
    let () = generator.ask(&Request::Sessions { address, count: 1 })?;
    let none = proxy.resident_bytes()?;
    report.add(GROUP, "proxy over the memory backend, no session but one", megabytes(none), "MB");
    for &count in &plan.idle_sessions {
        progress(format!("{count} idle sessions"))?;
        let () = generator.ask(&Request::Sessions { address, count: count + 1 })?;
        let with = proxy.resident_bytes()?;
        report.add(GROUP, format!("the same with {count} idle sessions"), megabytes(with), "MB");
        let each = each(none, with, count);
        report.add_against(GROUP, format!("an idle session, of {count}"), each, "bytes", SESSION);
    }
    Ok(())
}

fn open_streams(plan: &Plan, report: &mut Report) -> Result<()> {
    let limit = usage::open_files_limit()?;
    let count = plan.streams.min(limit.saturating_sub(OTHER_FILES));
    progress(format!("{count} sessions with an open stream each; {limit} files may be open"))?;
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    let (proxy, address) = Part::serve(Role::MemoryProxy, &[])?;
    let () = generator.ask(&Request::Sessions { address, count: 1 })?;
    let none = proxy.resident_bytes()?;
    let () = generator.ask(&Request::Sessions { address, count })?;
    let () = generator.ask(&Request::Streams { count })?;
    let with = proxy.resident_bytes()?;
    report.add(
        GROUP,
        format!("the same with {count} sessions, each with an open GET stream"),
        megabytes(with),
        "MB",
    );
    let name = format!("a session with an open GET stream, of {count}");
    report.add_against(GROUP, name, each(none, with, count), "bytes", SESSION_WITH_STREAM);
    Ok(())
}

fn each(without: u64, with: u64, count: usize) -> f64 {
    float(with.saturating_sub(without)) / float(count as u64)
}

/// Of a million bytes.
pub(super) fn megabytes(bytes: u64) -> f64 {
    float(bytes) / 1e6
}
