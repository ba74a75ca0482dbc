//! A part of a measurement: a child process that is asked by lines and answers by lines.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde::{Serialize, de::DeserializeOwned};

use crate::{parts::Role, usage};

/// A running part. It is killed when it is dropped; it also ends by itself once its standard input closes, so that it does not
/// outlive this process however that ends.
#[derive(Debug)]
pub(crate) struct Part {
    name: String,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Part {
    /// Starts this program again as a part, and waits for what it says of itself once it is ready.
    pub(crate) fn start<T: DeserializeOwned>(role: Role, arguments: &[&str]) -> Result<(Self, T)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--part", role.name()]).args(arguments);
        let mut part = Self::spawn(role.name(), &mut command)?;
        let ready = part.answer()?;
        Ok((part, ready))
    }

    /// Starts a part that is a server, and returns where it listens.
    pub(crate) fn serve(role: Role, arguments: &[&str]) -> Result<(Self, SocketAddr)> {
        Self::start(role, arguments)
    }

    /// Starts another program, which is asked nothing.
    pub(crate) fn program(path: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(path);
        command.args(arguments).envs(variables.iter().copied());
        Self::spawn(&path.display().to_string(), &mut command)
    }

    fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let (requests, answers) = requests.zip(answers).context("a child without pipes")?;
        Ok(Self { name: name.to_owned(), child, requests, answers: BufReader::new(answers) })
    }

    /// Asks something and waits for the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, request: &impl Serialize) -> Result<T> {
        let line = serde_json::to_string(request)? + "\n";
        self.requests.write_all(line.as_bytes()).with_context(|| format!("{} is gone", self.name))?;
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("{} ended with {}", self.name, self.child.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("{} said {line}", self.name))
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// The bytes that it has in memory.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        usage::resident_bytes(self.child.id())
    }

    /// Those of them that are its own.
    pub(crate) fn own_bytes(&self) -> Result<u64> {
        usage::own_bytes(self.child.id())
    }

    /// The CPU time that it has used.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        usage::cpu_time(self.child.id())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::error!(%error, part = self.name, "a part cannot be stopped");
        }
    }
}

/// What the part itself says: one JSON text a line.
pub(crate) fn say(answer: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut output = io::stdout().lock();
    output.write_all(&line)?;
    Ok(output.flush()?)
}
