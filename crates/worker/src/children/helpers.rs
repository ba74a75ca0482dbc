//! What the worker's own program does as a helper: [`launch`] becomes the server once it is told to, [`watch`] kills servers whose
//! worker is no more.
//!
//! A worker can die at any moment, by SIGKILL too, and must leave nothing running. So each server begins as this program, in a process
//! group of its own, and waits: the worker tells the watchdog which group that is, and only then says "go".

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::File,
    io::{self, BufRead, Read as _, Write as _},
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    process::{Command, ExitCode},
    sync::{Arc, atomic::AtomicBool},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit, setsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What is written before a server's first message. A worker that dies before has started nothing.
pub(super) const GO: &str = "go\n";

/// The exit code for a program that is not there, as shells have it.
pub(super) const NOT_FOUND: u8 = 127;

/// The exit code for a program that cannot be started, as shells have it.
pub(super) const NOT_STARTED: u8 = 126;

/// Waits for the line "go" on the standard input, reading nothing behind it, and becomes the command: the body of the hidden command
/// that [`Launcher::launch`](super::Launcher::launch) names. `args` is what stands behind that: a program and its arguments.
///
/// It returns only where nothing was started: without a sound when the input ends before that line, since whoever wanted the server
/// is gone, and with the reason on the standard error when the program cannot be started.
pub fn launch(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let Some(program) = args.next() else { return failed("there is no program to start", NOT_STARTED) };
    match is_told_to_go() {
        Ok(true) => {}
        Ok(false) => return ExitCode::SUCCESS,
        Err(error) => return failed(&format!("cannot be told to start: {error}"), NOT_STARTED),
    }
    // what is in a server's memory is its users': it does not end up in files
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        return failed(&format!("cannot switch off core dumps: {error}"), NOT_STARTED);
    }
    let error = Command::new(&program).args(args).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED };
    failed(&format!("cannot start {}: {error}", program.display()), code)
}

fn failed(what: &str, code: u8) -> ExitCode {
    // whoever does not read it learns it from the exit code
    drop(writeln!(io::stderr(), "{what}"));
    code.into()
}

/// Reads byte by byte, past the standard library's buffer: what follows is the server's.
fn is_told_to_go() -> io::Result<bool> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut line = [0; GO.len()];
    for at in 0..line.len() {
        match input.read_exact(&mut line[at..=at]) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(line == GO.as_bytes())
}

/// Keeps a list of process groups, told on the standard input by lines such as `+123` and `-123`, and says each `+123` back. When the input
/// ends the worker is no more: kills them all. The body of the hidden command that [`Launcher::watch`](super::Launcher::watch) names.
///
/// It lives in a session of its own, and the signals that end a worker politely do not end it: it goes when the worker has gone.
pub fn watch() -> ExitCode {
    // it fails for the leader of a group, which no terminal's signals reach anyway
    setsid().ok();
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // a flag that nobody reads: the signal is taken note of, and that is all
        if let Err(error) = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))) {
            return failed(&format!("cannot take signals: {error}"), NOT_STARTED);
        }
    }
    let mut groups = HashSet::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if !note(&line, &mut groups) {
            break;
        }
    }
    for group in groups {
        // it may have ended meanwhile
        kill_process_group(group, Signal::KILL).ok();
    }
    ExitCode::SUCCESS
}

/// Takes a line. Returns whether the worker still hears of it.
fn note(line: &str, groups: &mut HashSet<Pid>) -> bool {
    let group = |text: &str| text.parse().ok().filter(|group| *group > 1).and_then(Pid::from_raw);
    if let Some(group) = line.strip_prefix('+').and_then(group) {
        groups.insert(group);
        let mut output = io::stdout().lock();
        return writeln!(output, "{line}").and_then(|()| output.flush()).is_ok();
    }
    if let Some(group) = line.strip_prefix('-').and_then(group) {
        groups.remove(&group);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_that_can_be_a_servers_are_kept() {
        let mut groups = HashSet::new();
        for line in ["+0", "+1", "+-5", "+x", "", "-7", "+"] {
            assert!(note(line, &mut groups), "{line}");
        }
        assert!(groups.is_empty(), "{groups:?}");
    }
}
