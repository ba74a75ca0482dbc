//! A queue of its own for the answers of each session: created at its initialize, deleted when it closes.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_common::{Backoff, CreatedQueue, QueueMaker};
use proxy_core::{
    error::{BackendError, ErrorKind},
    id::RouteKey,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::PollPlan;

/// The delay before a creation is tried again, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The queues of the sessions, each looked after by a task of its own.
#[derive(Debug)]
pub(crate) struct SessionQueues {
    maker: QueueMaker,
    plan: PollPlan,
    sessions: Mutex<HashMap<RouteKey, Session>>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    _stops_when_dropped: DropGuard,
}

#[derive(Debug)]
struct Session {
    url: Option<Box<str>>,
    closing: CancellationToken,
    ended: CancellationToken,
}

/// Looks after one session's queue from before its creation until after its deletion.
struct Keeper {
    maker: QueueMaker,
    plan: PollPlan,
    suffix: String,
    deadline: Instant,
    closing: CancellationToken,
    stopping: CancellationToken,
    ended: DropGuard,
}

impl SessionQueues {
    /// Creates a queue and deletes it again, so that a missing permission shows at start.
    pub(super) async fn tried(maker: QueueMaker, plan: PollPlan) -> Result<Self, BackendError> {
        maker.create(Some(&random_suffix()?), "start").await?.delete().await;
        let stopping = CancellationToken::new();
        Ok(Self {
            maker,
            plan,
            sessions: Mutex::default(),
            tasks: TaskTracker::new(),
            stopping: stopping.clone(),
            _stops_when_dropped: stopping.drop_guard(),
        })
    }

    pub(super) async fn begin(&self, route: &RouteKey, deadline: Instant) -> Result<Box<str>, BackendError> {
        let (created, url) = oneshot::channel();
        let suffix = random_suffix()?;
        if self.stopping.is_cancelled() {
            return Err(gone());
        }
        let (closing, ended) = (CancellationToken::new(), CancellationToken::new());
        let session = Session { url: None, closing: closing.clone(), ended: ended.clone() };
        if let Some(earlier) = self.lock().insert(route.clone(), session) {
            earlier.closing.cancel();
        }
        let keeper = Keeper {
            maker: self.maker.clone(),
            plan: self.plan.clone(),
            suffix,
            deadline,
            closing,
            stopping: self.stopping.clone(),
            ended: ended.drop_guard(),
        };
        self.tasks.spawn(keeper.keep(created));
        let url = url.await.map_err(|_| gone())??;
        if let Some(session) = self.lock().get_mut(route) {
            session.url = Some(url.clone());
        }
        Ok(url)
    }

    pub(super) fn of(&self, route: &RouteKey) -> Result<Box<str>, BackendError> {
        self.lock().get(route).and_then(|session| session.url.clone()).ok_or_else(gone)
    }

    /// Lets every session's task come to its end at shutdown, and reaps what dead instances left behind until then.
    pub(super) async fn run(&self, shutdown: CancellationToken) {
        self.maker.reap(shutdown.clone()).await;
        shutdown.cancelled().await;
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Resolves once the session's queue is deleted.
    pub(super) async fn close(&self, route: &RouteKey) {
        let session = self.lock().remove(route);
        if let Some(Session { closing, ended, .. }) = session {
            closing.cancel();
            ended.cancelled().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RouteKey, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    async fn keep(self, ready: oneshot::Sender<Result<Box<str>, BackendError>>) {
        // also when this task panics, so that nobody waits for its end for ever
        let Self { ended: _ended, plan, closing, stopping, .. } = &self;
        let created = match self.create().await {
            Ok(created) => created,
            Err(error) => {
                if ready.send(Err(error)).is_err() {
                    tracing::debug!("nobody waits for a session's queue any more");
                }
                return;
            }
        };
        closing.run_until_cancelled(created.usable()).await;
        if ready.send(Ok(created.queue().url().into())).is_ok() {
            let poller = plan.poller(created.queue());
            let receiving = async {
                tokio::join!(
                    poller.run(stopping.clone()),
                    created.keep_alive(poller.health(), stopping.clone())
                )
            };
            // a closed session's queue goes with all that is in it, so its poll is not waited for
            closing.run_until_cancelled(Box::pin(receiving)).await;
        }
        created.delete().await;
    }

    /// Tries until the deadline what may pass: AWS throttles creation.
    async fn create(&self) -> Result<CreatedQueue, BackendError> {
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let error = match self.maker.create(Some(&self.suffix), "send").await {
                Ok(created) => return Ok(created),
                Err(error) => error,
            };
            let retry_at = Instant::now() + backoff.next_delay();
            if !error.is_retryable() || retry_at >= self.deadline {
                return Err(error);
            }
            if self.closing.run_until_cancelled(sleep_until(retry_at)).await.is_none() {
                return Err(gone());
            }
        }
    }
}

/// What tells the queues of an instance apart: 64 random bits.
fn random_suffix() -> Result<String, BackendError> {
    match getrandom::u64() {
        Ok(random) => Ok(format!("{random:016x}")),
        Err(error) => {
            Err(BackendError::new(ErrorKind::Unavailable, "send", "no random numbers for a queue's name")
                .with_source(error))
        }
    }
}

fn gone() -> BackendError {
    BackendError::new(ErrorKind::SessionGone, "send", "the session has no reply queue any more")
}
