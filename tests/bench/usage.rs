//! What a process uses, from `/proc`.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// The clock ticks in which Linux counts CPU time for programs: `USER_HZ`, 100 on every architecture that matters.
const TICKS_PER_SECOND: u32 = 100;

/// The bytes of a process that are in memory (`VmRSS`).
pub(crate) fn resident_bytes(process: u32) -> Result<u64> {
    bytes(process, "VmRSS:")
}

/// Those of them that are its own (`RssAnon`): the rest are pages of the program and its libraries, which all processes of it share and
/// the kernel can drop.
pub(crate) fn own_bytes(process: u32) -> Result<u64> {
    bytes(process, "RssAnon:")
}

fn bytes(process: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let line = line.with_context(|| format!("no {field}"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

/// The CPU time that a process has used, its own and the kernel's for it (fields 14 and 15 of `/proc/PID/stat`).
pub(crate) fn cpu_time(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before may hold anything, so fields are counted from behind it; the first there is the third.
    let (_, fields) = stat.rsplit_once(')').context("no process name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u32 = fields
        .get(11..13)
        .context("no CPU time")?
        .iter()
        .map(|field| field.parse::<u32>())
        .sum::<Result<_, _>>()?;
    Ok(Duration::from_secs(ticks.into()) / TICKS_PER_SECOND)
}

/// How many files this process, and so its children, may have open: the soft limit.
pub(crate) fn open_files_limit() -> Result<usize> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .context("no limit of open files")?;
    match line.split_whitespace().next() {
        Some("unlimited") | None => Ok(usize::MAX),
        Some(soft) => Ok(soft.parse()?),
    }
}
