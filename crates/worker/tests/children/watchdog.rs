//! What is left of servers whose worker is killed: nothing.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::task::spawn_blocking;

use crate::harness::{HELPER, Held, Rig, server, within};

#[tokio::test]
async fn a_killed_worker_leaves_nothing_running() {
    let mut held = Held::new();
    let mut worker =
        Command::new(HELPER).arg("work").arg(held.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(worker.stdout.take().unwrap());
    let said = spawn_blocking(move || {
        let mut line = String::new();
        output.read_line(&mut line).map(|_| line)
    });
    assert_eq!(within(said).await.unwrap().unwrap(), "ready\n");
    assert!(!held.has_ended());
    // SIGKILL
    worker.kill().unwrap();
    worker.wait().unwrap();
    held.ended().await;
}

#[test]
fn the_watchdog_outlives_polite_signals_and_kills_at_the_end_of_its_input() {
    let mut watchdog =
        Command::new(HELPER).arg("watch").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = watchdog.stdin.take().unwrap();
    let mut output = BufReader::new(watchdog.stdout.take().unwrap());
    let mut groups: Vec<_> = (0..3)
        .map(|_| {
            use std::os::unix::process::CommandExt as _;
            Command::new("sleep").arg("1000").process_group(0).spawn().unwrap()
        })
        .collect();
    for group in &groups {
        writeln!(input, "+{}", group.id()).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, format!("+{}\n", group.id()));
    }
    writeln!(input, "-{}", groups[2].id()).unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        kill_process(Pid::from_child(&watchdog), signal).unwrap();
    }
    // it still answers, so it is there
    writeln!(input, "+{}", groups[0].id()).unwrap();
    output.read_line(&mut String::new()).unwrap();
    drop(input);
    assert!(watchdog.wait().unwrap().success());
    let mut spared = groups.pop().unwrap();
    for group in &mut groups {
        assert!(!group.wait().unwrap().success());
    }
    assert_eq!(spared.try_wait().unwrap(), None, "it was taken off the list");
    spared.kill().unwrap();
    spared.wait().unwrap();
}

#[tokio::test]
async fn a_watchdog_that_dies_is_started_again_and_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // a watchdog that notes what it hears, and dies after its first three lines, once
    let script = format!(
        "count=0; while read line; do echo \"$$ $line\" >> {0}; echo \"$line\"; count=$((count+1)); \
         if [ $count = 3 ] && [ $(cut -d' ' -f1 {0} | sort -u | wc -l) = 1 ]; then exit 1; fi; done",
        log.display()
    );
    let launcher = worker::children::Launcher {
        program: "/bin/sh".into(),
        launch: vec!["-c".into(), format!("exec {HELPER} launch \"$@\"").into(), "launch".into()],
        watch: vec!["-c".into(), script.into()],
    };
    let rig = Rig::with(&server(), launcher);
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(rig.open().await);
    }
    let heard = std::fs::read_to_string(&log).unwrap();
    let lives: Vec<&str> = heard.lines().filter_map(|line| line.split(' ').next()).collect();
    let (first, last) = (lives[0], lives[lives.len() - 1]);
    assert_ne!(first, last, "{heard}");
    let told = |life: &str| lives.iter().filter(|each| **each == life).count();
    assert_eq!((told(first), told(last)), (3, 5), "{heard}");
    rig.shut_down().await;
}
