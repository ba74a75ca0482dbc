//! Where and when the figures are taken, and of which commit.

use std::{fmt, fs, process::Command, thread};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// What stands beside every figure.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    /// In GB.
    memory: u64,
    kernel: String,
    /// How busy the machine was with other things: the load average of the last minute before the run.
    load_average: String,
    /// UTC.
    date: String,
    /// Ends in `-dirty` where files differ from the commit.
    commit: String,
}

impl Machine {
    pub(crate) fn look() -> Result<Self> {
        let field = |path: &str, name: &str| -> Result<String> {
            let text = fs::read_to_string(path)?;
            let line = text
                .lines()
                .find(|line| line.starts_with(name))
                .with_context(|| format!("no {name} in {path}"))?;
            Ok(line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned()))
        };
        let kibibytes: u64 = field("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse()?;
        let load_average = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            processor: field("/proc/cpuinfo", "model name")?,
            cores: thread::available_parallelism()?.get(),
            memory: kibibytes * 1024 / 1_000_000_000,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load_average: load_average.split(' ').next().unwrap_or_default().to_owned(),
            date: said_by("date", &["-u", "+%Y-%m-%d %H:%M UTC"])?,
            commit: said_by("git", &["describe", "--always", "--dirty", "--exclude", "*"])?,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory, kernel, load_average, date, commit } = self;
        writeln!(
            formatter,
            "machine: {processor}, {cores} cores, {memory} GB, Linux {kernel}; load average before the run {load_average}"
        )?;
        writeln!(formatter, "date: {date}, commit {commit}")
    }
}

fn said_by(program: &str, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(program).args(arguments).output().with_context(|| format!("cannot run {program}"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
