//! What starts servers, and what is left of a server that was started: the seam between sessions and processes.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use proxy_core::{
    error::{BackendError, ErrorKind},
    id::RouteKey,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::timeout,
};

/// Starts servers, one a session.
#[async_trait]
pub trait Launch: fmt::Debug + Send + Sync + 'static {
    /// Whether a server could be started, as far as can be told without starting one.
    async fn check(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Starts the server of a session. The route key is for logs, where it shows abbreviated. Dropping the future leaves nothing
    /// running.
    ///
    /// # Errors
    /// Nothing was started, or what was is gone again. The message may reach clients.
    async fn launch(&self, route: &RouteKey) -> Result<Launched, BackendError>;

    /// Frees what is kept for servers in general, once all of them have ended.
    async fn finish(&self) {}
}

/// A server that was started: its input, its output, and the server itself.
pub struct Launched {
    /// Takes messages, a line each. Dropping it tells the server to end.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// Gives messages, a line each.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// What runs.
    pub running: Box<dyn Running>,
}

impl Launched {
    /// A server within this process, which is the future: it reads what is written into `input`, writes what is read from `output`, and
    /// ends once its input has. Dropping it ends it.
    pub fn in_process(
        input: impl AsyncWrite + Send + Unpin + 'static,
        output: impl AsyncRead + Send + Unpin + 'static,
        server: BoxFuture<'static, ()>,
    ) -> Self {
        let mut task = JoinSet::new();
        task.spawn(server);
        Self { input: Box::new(input), output: Box::new(output), running: Box::new(Task(task)) }
    }
}

impl fmt::Debug for Launched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Launched").field("running", &self.running).finish_non_exhaustive()
    }
}

/// A server that runs. Dropping it kills it, with everything that it started.
#[async_trait]
pub trait Running: fmt::Debug + Send {
    /// Waits until the server has ended, or must be ended. Dropping the future loses nothing.
    async fn ended(&mut self) -> Ended;

    /// What the server said last, fit for a client: one line of bounded length.
    async fn last_words(&mut self) -> Option<String> {
        None
    }

    /// Ends the server, whose input has been closed, and everything that it started. It has this long to end by itself. Resolves
    /// when nothing of it is left.
    async fn end(self: Box<Self>, grace: Duration);
}

/// Why a server ended, or must be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// As one of a closed set of words, for the `reason` label of metrics.
    pub reason: &'static str,
    /// In words that go on after "the server process", such as `ended (exit code 3)`.
    pub what: String,
    /// What kind of failure it is where the server had not answered `initialize` yet.
    pub kind: ErrorKind,
    /// Whether it still runs, and has no time left.
    pub must_die: bool,
}

/// A server within this process.
#[derive(Debug)]
struct Task(JoinSet<()>);

#[async_trait]
impl Running for Task {
    async fn ended(&mut self) -> Ended {
        let what = match self.0.join_next().await {
            Some(Err(error)) if error.is_panic() => "ended (it panicked)",
            _ => "ended",
        };
        Ended { reason: "exited", what: what.to_owned(), kind: ErrorKind::Unavailable, must_die: false }
    }

    async fn end(mut self: Box<Self>, grace: Duration) {
        if timeout(grace, self.0.join_next()).await.is_err() {
            self.0.shutdown().await;
        }
    }
}
