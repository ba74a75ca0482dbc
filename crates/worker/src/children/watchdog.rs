//! The worker's side of the watchdog: one process that kills every server once the worker is no more.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use proxy_core::{
    Backoff,
    error::{BackendError, ErrorKind},
    lines::{Line, Lines},
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{Notify, oneshot},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::processes::Launcher;

/// The delays until a watchdog that ended is started again.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// How long a watchdog that is not needed any more may take to end.
const FAREWELL_TIME: Duration = Duration::from_secs(2);

/// The longest line of a watchdog.
const LONGEST_LINE: usize = 64;

/// The groups that are to be killed with the worker.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    groups: Mutex<HashMap<i32, Entry>>,
    /// Counts registrations: an id may be given out again.
    next: AtomicU64,
    changed: Notify,
    has_begun: AtomicBool,
}

/// A group that is to be known.
#[derive(Debug)]
struct Entry {
    number: u64,
    /// Whoever waits until it is.
    waiting: Option<oneshot::Sender<Result<(), BackendError>>>,
}

/// A group that the watchdog knows, until this is dropped.
#[derive(Debug)]
pub(super) struct Registration {
    watchdog: Arc<Watchdog>,
    group: i32,
    number: u64,
}

impl Watchdog {
    /// Tells the watchdog of a group; resolves when it has taken note.
    ///
    /// # Errors
    /// There is no watchdog.
    pub(super) async fn register(self: &Arc<Self>, group: i32) -> Result<Registration, BackendError> {
        let (taken, is_taken) = oneshot::channel();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.groups().insert(group, Entry { number, waiting: Some(taken) });
        let registration = Registration { watchdog: Arc::clone(self), group, number };
        self.changed.notify_one();
        match is_taken.await {
            Ok(Ok(())) => Ok(registration),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(BackendError::new(ErrorKind::Unavailable, "send", "the worker is shutting down")),
        }
    }

    /// Whether this is the first time that this is asked: then [`Self::keep`] has to be spawned.
    pub(super) fn is_first(&self) -> bool {
        !self.has_begun.swap(true, Ordering::Relaxed)
    }

    /// Keeps a watchdog running and told, until `stop` fires.
    pub(super) async fn keep(self: Arc<Self>, launcher: Launcher, stop: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        loop {
            let error = match Process::start(&launcher) {
                Ok(process) => match process.run(&self, &stop, &mut backoff).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(%error, "the watchdog ended and is started again");
                        None
                    }
                },
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                tracing::error!(%error, "the watchdog cannot be started, so no server can");
                self.refuse(&error);
            }
            if stop.run_until_cancelled(sleep(backoff.next_delay())).await.is_none() {
                return;
            }
        }
    }

    /// Tells whoever waits that there is no watchdog.
    fn refuse(&self, error: &io::Error) {
        for entry in self.groups().values_mut() {
            if let Some(waiting) = entry.waiting.take() {
                let message = "the worker's watchdog process cannot be started";
                let refusal = BackendError::new(ErrorKind::Unavailable, "send", message);
                // whoever gave up does not hear it
                waiting.send(Err(refusal.with_source(error.to_string()))).ok();
            }
        }
    }

    fn taken(&self, group: i32) {
        if let Some(waiting) = self.groups().get_mut(&group).and_then(|entry| entry.waiting.take()) {
            // whoever gave up does not hear it
            waiting.send(Ok(())).ok();
        }
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<i32, Entry>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut groups = self.watchdog.groups();
        // the id may be another's by now
        if groups.get(&self.group).is_some_and(|entry| entry.number == self.number) {
            groups.remove(&self.group);
        }
        drop(groups);
        self.watchdog.changed.notify_one();
    }
}

/// A watchdog that runs.
#[derive(Debug)]
struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<ChildStdout>,
    /// The groups that it knows, with the numbers of their registrations.
    told: HashMap<i32, u64>,
}

impl Process {
    fn start(launcher: &Launcher) -> io::Result<Self> {
        let mut child = Command::new(&launcher.program)
            .args(&launcher.watch)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (input, output) = (input.ok_or_else(missing)?, output.ok_or_else(missing)?);
        Ok(Self { child, input, output: Lines::new(output, LONGEST_LINE), told: HashMap::new() })
    }

    /// Tells it what there is to tell. `Ok`: it is not needed any more; the error says why it ended otherwise.
    async fn run(
        mut self,
        watchdog: &Watchdog,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> io::Result<()> {
        loop {
            self.tell(watchdog).await?;
            tokio::select! {
                () = watchdog.changed.notified() => {}
                line = self.output.next() => match line? {
                    Some(Line::Whole(line)) => {
                        let group = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix('+'));
                        if let Some(group) = group.and_then(|group| group.parse().ok()) {
                            watchdog.taken(group);
                            backoff.reset();
                        }
                    }
                    Some(Line::TooLong(_)) => {}
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                },
                status = self.child.wait() => {
                    return Err(io::Error::other(status?.to_string()));
                }
                () = stop.cancelled() => return self.end(watchdog).await,
            }
        }
    }

    /// Brings its list up to date.
    async fn tell(&mut self, watchdog: &Watchdog) -> io::Result<()> {
        let mut lines = String::new();
        {
            let wanted = watchdog.groups();
            for (group, _) in self.told.extract_if(|group, _| !wanted.contains_key(group)) {
                writeln!(lines, "-{group}").map_err(io::Error::other)?;
            }
            for (group, entry) in &*wanted {
                if self.told.insert(*group, entry.number) != Some(entry.number) {
                    writeln!(lines, "+{group}").map_err(io::Error::other)?;
                }
            }
        }
        self.input.write_all(lines.as_bytes()).await
    }

    /// Closes its input, and waits for it. What it still knew it would kill, so it is told what is over before.
    async fn end(mut self, watchdog: &Watchdog) -> io::Result<()> {
        let farewell = async {
            self.tell(watchdog).await?;
            drop(self.input);
            self.child.wait().await
        };
        if let Ok(status) = timeout(FAREWELL_TIME, farewell).await {
            return status.map(drop);
        }
        tracing::warn!("the watchdog does not end");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_id_that_is_given_out_again_stays_on_the_list() {
        let watchdog = Arc::new(Watchdog::default());
        let register = async || {
            let (registered, ()) = tokio::join!(watchdog.register(7), async { watchdog.taken(7) });
            registered.unwrap()
        };
        let (old, new) = (register().await, register().await);
        drop(old);
        assert!(watchdog.groups().contains_key(&7), "the new group is not protected");
        drop(new);
        assert!(watchdog.groups().is_empty());
    }

    #[tokio::test]
    async fn it_is_told_what_is_over_before_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let heard = format!("while read line; do echo $line >> {}; echo $line; done", log.display());
        let watch = vec!["-c".into(), heard.into()];
        let launcher = Launcher { program: "/bin/sh".into(), launch: Vec::new(), watch };
        // it must not be left to chance
        for _ in 0..8 {
            let (watchdog, stop) = (Arc::new(Watchdog::default()), CancellationToken::new());
            let keeping = Arc::clone(&watchdog).keep(launcher.clone(), stop.clone());
            let serving = async {
                drop(watchdog.register(7).await.unwrap());
                stop.cancel();
            };
            tokio::join!(keeping, serving);
            let heard = std::fs::read_to_string(&log).unwrap();
            assert!(heard.ends_with("-7\n"), "it would kill whoever has this id by now: {heard:?}");
        }
    }
}
