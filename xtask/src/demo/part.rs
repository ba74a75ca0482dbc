//! A program that runs beside the demo.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// How long a part may take to come up.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running program. Ended when it is dropped.
#[derive(Debug)]
pub(super) struct Part {
    name: &'static str,
    pub(super) child: Child,
    lines: mpsc::Receiver<String>,
}

impl Part {
    pub(super) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let (sender, lines) = mpsc::sync_channel(1024);
        let outputs = [
            child.stdout.take().map(|output| Box::new(output) as Output),
            child.stderr.take().map(|output| Box::new(output) as Output),
        ];
        for output in outputs.into_iter().flatten() {
            let sender = sender.clone();
            // Reads on when nobody listens any more, so that the part never waits for us.
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    drop(sender.try_send(line));
                }
            });
        }
        Ok(Self { name, child, lines })
    }

    pub(super) fn wait_for(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> Result<String> {
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if is_it(&line) => return Ok(line),
                Ok(line) => said.push(line),
                Err(_) => bail!("{} did not say {what}:\n{}", self.name, said.join("\n")),
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

type Output = Box<dyn std::io::Read + Send>;
