//! A program that runs beside the test: its output can be waited for, and it ends with the test.

use std::{
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::watch,
    task::JoinSet,
};

/// How long anything may take that happens once on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A running program. Killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Output,
    readers: JoinSet<()>,
}

/// The lines of a program, from both of its outputs, as they come.
#[derive(Debug, Clone)]
struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    count: watch::Sender<usize>,
}

impl Process {
    /// Starts a program.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        Ok(Self::of(name, Self::spawn(name, command.stdin(Stdio::null()))?))
    }

    /// Starts a program whose input and standard output are the caller's; only what it says on standard error is kept here.
    pub fn start_piped(name: &str, command: &mut Command) -> Result<(Self, ChildStdin, ChildStdout)> {
        let mut child = Self::spawn(name, command.stdin(Stdio::piped()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = input.zip(output).context("a child without pipes")?;
        Ok((Self::of(name, child), input, output))
    }

    fn spawn(name: &str, command: &mut Command) -> Result<Child> {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started: run `cargo xtask setup` first"))
    }

    /// Reads what the child says on the outputs that nobody took.
    fn of(name: &str, mut child: Child) -> Self {
        let output = Output { lines: Arc::default(), count: watch::Sender::new(0) };
        let mut readers = JoinSet::new();
        readers.spawn(output.clone().collect(child.stdout.take()));
        readers.spawn(output.clone().collect(child.stderr.take()));
        Self { name: name.to_owned(), child, output, readers }
    }

    /// Waits for the first line, old or new, in which `find` finds something.
    pub async fn wait_for<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let mut count = self.output.count.subscribe();
        let search = async {
            let mut seen = 0;
            loop {
                let known = *count.borrow_and_update();
                let found = self.output.lock()[seen..known].iter().find_map(|line| find(line));
                if let Some(found) = found {
                    return Some(found);
                }
                seen = known;
                if count.changed().await.is_err() {
                    return None;
                }
            }
        };
        let ended = async {
            let status = self.child.wait().await;
            // What it said last may still be on its way.
            while self.readers.join_next().await.is_some() {}
            status
        };
        tokio::select! {
            biased;
            Some(found) = search => Ok(found),
            status = ended => {
                match self.output.lock().iter().find_map(|line| find(line)) {
                    Some(found) => Ok(found),
                    None => bail!("{} ended with {status:?} before {what}:\n{}", self.name, self.output.text()),
                }
            }
            () = tokio::time::sleep(PATIENCE) => { // allowed: the bound of a wait
                bail!("{} did not say {what} in time:\n{}", self.name, self.output.text())
            }
        }
    }

    /// Everything that it has said so far.
    pub fn text(&self) -> String {
        self.output.text()
    }

    /// Waits for its end, and gives what it said.
    pub async fn finish(mut self) -> Result<(ExitStatus, String)> {
        let status = tokio::time::timeout(PATIENCE * 3, self.child.wait())
            .await
            .with_context(|| format!("{} did not end in time:\n{}", self.name, self.output.text()))??;
        while self.readers.join_next().await.is_some() {}
        Ok((status, self.output.text()))
    }

    /// Asks it to end, as an operator or a supervisor does.
    pub async fn terminate(&self) -> Result<()> {
        let id = self.child.id().with_context(|| format!("{} has ended already", self.name))?;
        let status = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        anyhow::ensure!(status.success(), "kill failed for {}", self.name);
        Ok(())
    }

    /// Ends it at once, as a crash does.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("{} cannot be killed", self.name))
    }

    /// The status that it ended with.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Ok(ended.with_context(|| format!("{} did not end in time:\n{}", self.name, self.output.text()))??)
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

impl Output {
    async fn collect(self, from: Option<impl AsyncRead + Unpin>) {
        let Some(from) = from else { return };
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.lock().push(line);
            self.count.send_modify(|count| *count += 1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        self.lock().join("\n")
    }
}

/// Ends any process at once, by its id.
pub async fn kill(id: &str) -> Result<()> {
    // it may have ended by itself
    Command::new("kill").args(["-KILL", id]).stderr(Stdio::null()).status().await?;
    Ok(())
}

/// Waits until no process has this id any more; one that has ended and waits for its parent counts as none.
pub async fn gone(id: &str) -> Result<()> {
    let is_there = || {
        let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        status.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
    };
    let waiting = async {
        while is_there() {
            tokio::time::sleep(Duration::from_millis(20)).await; // allowed: a process that is not ours has no event
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.with_context(|| format!("process {id} goes on"))
}
