//! Starts servers as child processes.

use std::{env, ffi::OsString, io, path::PathBuf, process::Stdio, sync::Arc};

use async_trait::async_trait;
use proxy_core::{
    error::{BackendError, ErrorKind},
    id::RouteKey,
};
use tokio::{io::AsyncWriteExt, process::Command};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    config::ServerConfig,
    group::Group,
    helpers::GO,
    launch::{Launch, Launched},
    limits::Watched,
    program::Program,
    watchdog::Watchdog,
};

/// How the helper commands are started: the running program's own, hidden ones.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// The arguments that make it [`launch`](super::launch()); a server's program and its arguments are put behind them.
    pub launch: Vec<OsString>,
    /// The arguments that make it [`watch`](super::watch()).
    pub watch: Vec<OsString>,
}

impl Launcher {
    /// The running program with these arguments in front. On Linux that is so even after its file was replaced, as an upgrade does.
    ///
    /// # Errors
    /// The program does not know where it is.
    pub fn of_this_program(
        launch: impl IntoIterator<Item = impl Into<OsString>>,
        watch: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> io::Result<Self> {
        let linked = PathBuf::from("/proc/self/exe");
        let program = if linked.exists() { linked } else { env::current_exe()? };
        let (launch, watch) = (launch.into_iter().map(Into::into), watch.into_iter().map(Into::into));
        Ok(Self { program, launch: launch.collect(), watch: watch.collect() })
    }
}

/// Starts one command, again and again.
#[derive(Debug)]
pub(super) struct Processes {
    launcher: Launcher,
    program: Program,
    watchdog: Arc<Watchdog>,
    watched: Arc<Watched>,
    /// What runs beside the servers.
    keepers: TaskTracker,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Processes {
    pub(super) fn new(config: &ServerConfig, launcher: Launcher) -> Self {
        let stop = CancellationToken::new();
        Self {
            launcher,
            program: Program::new(config),
            watchdog: Arc::default(),
            watched: Watched::new(config),
            keepers: TaskTracker::new(),
            stop: stop.clone(),
            _stop: stop.drop_guard(),
        }
    }

    /// Sees to what runs beside the servers.
    fn keep(&self) {
        if self.watchdog.is_first() {
            let keeping = Arc::clone(&self.watchdog).keep(self.launcher.clone(), self.stop.clone());
            self.keepers.spawn(keeping);
        }
        if self.watched.is_first() {
            let (watched, stop) = (Arc::clone(&self.watched), self.stop.clone());
            self.keepers.spawn(async move { stop.run_until_cancelled(watched.look()).await });
        }
    }

    /// The helper that becomes the server once it is told to.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.launcher.program);
        command
            .args(&self.launcher.launch)
            .args(&self.program.command)
            .env_clear()
            .envs(self.program.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(directory) = &self.program.directory {
            command.current_dir(directory);
        }
        command
    }
}

#[async_trait]
impl Launch for Processes {
    async fn check(&self) -> Result<(), BackendError> {
        self.program.check()
    }

    async fn launch(&self, route: &RouteKey) -> Result<Launched, BackendError> {
        self.program.check()?;
        self.keep();
        let failed = |error: io::Error| {
            let message =
                format!("the server program \"{}\" could not be started", self.program.name().display());
            BackendError::new(ErrorKind::Unavailable, "send", message).with_source(error)
        };
        let mut child = self.command().spawn().map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut group = Group::new(child).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let (Some(mut input), Some(output), Some(stderr)) = pipes else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        group.register(&self.watchdog).await?;
        input.write_all(GO.as_bytes()).await.map_err(failed)?;
        group.watch(&self.watched);
        group.listen(stderr, route.clone());
        tracing::debug!(?route, pid = group.id(), "a server was started");
        Ok(Launched { input: Box::new(input), output: Box::new(output), running: Box::new(group) })
    }

    async fn finish(&self) {
        self.stop.cancel();
        self.keepers.close();
        self.keepers.wait().await;
    }
}
