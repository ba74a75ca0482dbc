//! A server's process with everything that it started: one process group, of which nothing is left at the end.

use std::{io, os::unix::process::ExitStatusExt as _, process::ExitStatus, sync::Arc, time::Duration};

use async_trait::async_trait;
use proxy_core::{
    error::{BackendError, ErrorKind},
    id::RouteKey,
};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid};
use tokio::{
    process::{Child, ChildStderr},
    task::spawn_blocking,
    time::{Instant, sleep, timeout_at},
};

use super::{
    helpers::{NOT_FOUND, NOT_STARTED},
    launch::{Ended, Running},
    limits::{Breach, Watched},
    stderr::Stderr,
    usage,
    watchdog::{Registration, Watchdog},
};

/// The pauses between looks whether what a server started has ended.
const LOOK_FIRST: Duration = Duration::from_millis(10);
const LOOK_LAST: Duration = Duration::from_millis(200);

/// How long processes that were killed may take to be gone.
const KILL_TIME: Duration = Duration::from_secs(1);

/// A process group, killed when dropped. Its leader is the server.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    leader: Child,
    /// The leader's end, once it was waited for.
    status: Option<ExitStatus>,
    /// Nothing of the group is left, so its id may be another's.
    is_gone: bool,
    registration: Option<Registration>,
    breach: Option<Breach>,
    stderr: Option<Stderr>,
}

impl Group {
    /// The group that this process leads; `None` if it has been waited for.
    pub(super) fn new(leader: Child) -> Option<Self> {
        let id = leader.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)?;
        Some(Self {
            id,
            leader,
            status: None,
            is_gone: false,
            registration: None,
            breach: None,
            stderr: None,
        })
    }

    /// Its id, which is its leader's process id.
    pub(super) fn id(&self) -> i32 {
        self.id.as_raw_nonzero().get()
    }

    /// Has it killed when the worker dies.
    pub(super) async fn register(&mut self, watchdog: &Arc<Watchdog>) -> Result<(), BackendError> {
        self.registration = Some(watchdog.register(self.id()).await?);
        Ok(())
    }

    /// Has it watched for what it takes.
    pub(super) fn watch(&mut self, watched: &Arc<Watched>) {
        self.breach = Some(watched.watch(self.id()));
    }

    /// Has what it writes to its standard error logged.
    pub(super) fn listen(&mut self, stderr: ChildStderr, route: RouteKey) {
        self.stderr = Some(Stderr::read(stderr, route));
    }

    /// Waits until the leader has ended, until then at most.
    async fn leader_ended(&mut self, until: Instant) -> bool {
        if self.status.is_none()
            && let Ok(Ok(status)) = timeout_at(until, self.leader.wait()).await
        {
            self.note(status);
        }
        self.status.is_some()
    }

    /// The leader was waited for. If it was the last of its group, the group's id is free from now on.
    fn note(&mut self, status: ExitStatus) {
        self.status = Some(status);
        if test_kill_process_group(self.id) == Err(Errno::SRCH) {
            self.forget();
        }
    }

    /// Nothing is left: nobody may send signals to this id any more.
    fn forget(&mut self) {
        self.is_gone = true;
        self.registration = None;
        self.breach = None;
    }

    /// Waits until nothing is left, until then at most.
    async fn all_ended(&mut self, until: Instant) -> bool {
        if !self.leader_ended(until).await {
            return false;
        }
        let mut pause = LOOK_FIRST;
        loop {
            if self.is_gone {
                return true;
            }
            self.wait_for_orphans();
            if test_kill_process_group(self.id) == Err(Errno::SRCH) {
                self.forget();
                return true;
            }
            if !self.is_alive().await {
                // one that began while others were looked at would have been missed
                self.signal(Signal::KILL);
                self.forget();
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            sleep(pause).await;
            pause = LOOK_LAST.min(2 * pause);
        }
    }

    /// Whether some of it runs: what has ended counts to the group until it is waited for, and some first processes take their time.
    async fn is_alive(&self) -> bool {
        let id = self.id();
        let looking = spawn_blocking(move || usage::is_known().then(|| usage::of_groups(&[id])));
        match looking.await {
            Ok(Some(Ok(usages))) => usages.get(&id).is_none_or(|usage| usage.processes > 0),
            // nobody tells, so the time decides
            _ => true,
        }
    }

    /// What has lost its parent is the first process's to wait for. In a container that may be this one.
    fn wait_for_orphans(&self) {
        while let Ok(Some(_)) = waitpgid(self.id, WaitOptions::NOHANG) {}
    }

    /// A process group keeps its id for as long as one of its processes is left, and no process gets that id.
    fn signal(&self, signal: Signal) {
        if self.is_gone {
            return;
        }
        match kill_process_group(self.id, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                let error = io::Error::from(error);
                tracing::warn!(group = self.id(), %error, "a server could not be sent a signal");
            }
        }
    }
}

#[async_trait]
impl Running for Group {
    async fn ended(&mut self) -> Ended {
        let breach = async {
            match &mut self.breach {
                Some(breach) => breach.come().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            status = self.leader.wait() => match status {
                Ok(status) => {
                    self.note(status);
                    ended_with(status)
                }
                Err(error) => {
                    tracing::warn!(%error, "a server process cannot be waited for");
                    ended("exited", "ended".to_owned(), ErrorKind::Unavailable)
                }
            },
            breach = breach => breach,
        }
    }

    async fn last_words(&mut self) -> Option<String> {
        self.stderr.as_mut()?.last_line().await
    }

    async fn end(mut self: Box<Self>, grace: Duration) {
        let begun = Instant::now();
        let end = begun + grace;
        if !grace.is_zero() {
            self.leader_ended(begun + grace / 2).await;
            self.signal(Signal::TERM);
        }
        if grace.is_zero() || !self.all_ended(end).await {
            self.signal(Signal::KILL);
            if !self.all_ended(Instant::now() + KILL_TIME).await {
                tracing::warn!(group = self.id(), "a server was killed, and still something of it is left");
            }
        }
        self.forget();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn ended(reason: &'static str, what: String, kind: ErrorKind) -> Ended {
    Ended { reason, what, kind, must_die: false }
}

fn ended_with(status: ExitStatus) -> Ended {
    if let Some(signal) = status.signal() {
        let name = signal_name(signal).map(|name| format!(", {name}")).unwrap_or_default();
        return ended("killed", format!("was ended by signal {signal}{name}"), ErrorKind::Unavailable);
    }
    let code = status.code().unwrap_or_default();
    let kind = match u8::try_from(code) {
        Ok(NOT_FOUND | NOT_STARTED) => ErrorKind::Config,
        _ => ErrorKind::Unavailable,
    };
    ended("exited", format!("ended (exit code {code})"), kind)
}

/// The names of the signals that programs end by.
fn signal_name(signal: i32) -> Option<&'static str> {
    let names = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::HUP, "SIGHUP"),
        (Signal::ILL, "SIGILL"),
        (Signal::INT, "SIGINT"),
        (Signal::KILL, "SIGKILL"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::TERM, "SIGTERM"),
    ];
    names.into_iter().find(|(known, _)| known.as_raw() == signal).map(|(_, name)| name)
}
