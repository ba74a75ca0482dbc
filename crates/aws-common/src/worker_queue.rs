//! The queue that one worker of a fleet reads alone: its sessions' requests go there.
//!
//! It is created at start, or taken over from before a restart, and deleted at the end. Those of dead workers are reaped by those that
//! live, which first hand what is left in them to the desk, so that clients are told that their sessions are gone.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
    id::{InstanceId, RemoteSession, RouteKey},
    intake::Desk,
};
use tokio_util::sync::CancellationToken;

use crate::{
    attributes::decode_request,
    created_queue::{CreatedQueue, Dependents, QueueMaker, QueuePlan},
    polling::PollSettings,
    queue::Queue,
    request_poller::{DeadLetters, RequestPoller, RequestPollerSettings},
};

/// What a worker's queue is made from.
#[derive(Debug, Clone)]
pub(crate) struct WorkerQueuePlan {
    /// The client that creates and reads it.
    pub(crate) client: Client,
    /// What its name begins with.
    pub(crate) prefix: Box<str>,
    /// The worker. What it left behind under this id is taken over.
    pub(crate) instance: InstanceId,
    /// How it is read; URL and name are its own.
    pub(crate) polls: PollSettings,
    /// Where its requests go that can never be done.
    pub(crate) dead_letters: Option<DeadLetters>,
    /// What counts the calls.
    pub(crate) metrics: BackendMetrics,
}

/// The queue that one worker of a fleet reads alone.
#[derive(Debug)]
pub(crate) struct WorkerQueue {
    plan: WorkerQueuePlan,
    created: CreatedQueue,
    maker: QueueMaker,
    poller: RequestPoller,
    desk: Arc<OnceLock<Arc<dyn Desk>>>,
}

/// Sees to it that the requests in a dead worker's queue are answered before it goes.
#[derive(Debug)]
struct Unanswered {
    plan: WorkerQueuePlan,
    desk: Arc<OnceLock<Arc<dyn Desk>>>,
}

impl WorkerQueuePlan {
    /// Creates queues by this plan, with what becomes of those of the dead.
    fn maker(&self, desk: &Arc<OnceLock<Arc<dyn Desk>>>) -> QueueMaker {
        let unanswered = Unanswered { plan: self.clone(), desk: Arc::clone(desk) };
        let plan = QueuePlan {
            prefix: self.prefix.clone(),
            instance: self.instance.clone(),
            request_timeout_max: Duration::ZERO,
            dependents: Some(Arc::new(unanswered)),
        };
        let hidden_for = self.polls.visibility_timeout;
        QueueMaker::for_workers(self.client.clone(), plan, hidden_for, self.metrics.clone())
    }

    fn poller(&self, queue: &Queue) -> RequestPoller {
        let polls =
            PollSettings { queue_url: queue.url().into(), name: queue.name().into(), ..self.polls.clone() };
        let settings = RequestPollerSettings {
            polls,
            to_owner: true,
            decode: decode_request,
            dead_letters: self.dead_letters.clone(),
        };
        RequestPoller::new(self.client.clone(), settings, self.instance.clone(), self.metrics.clone())
    }
}

impl WorkerQueue {
    /// Creates the queue, or takes it over, and resolves when others can send to it.
    ///
    /// # Errors
    /// Those of the calls, which name the missing permission.
    pub(crate) async fn create(plan: WorkerQueuePlan) -> Result<Self, BackendError> {
        let desk = Arc::default();
        let maker = plan.maker(&desk);
        let created = maker.create(None, "start").await?;
        created.usable().await;
        let poller = plan.poller(created.queue());
        Ok(Self { plan, created, maker, poller, desk })
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        self.created.queue().url()
    }

    /// The URL of the queue of the worker that made up this session id, where that is another one.
    pub(crate) fn owner_of(&self, session: &RemoteSession) -> Option<Box<str>> {
        let route = RouteKey::parse(session.as_str()).ok()?;
        if route.belongs_to(&self.plan.instance) {
            return None;
        }
        let (parent, _) = self.url().rsplit_once('/')?;
        Some(format!("{parent}/{}-{}", self.plan.prefix, route.instance().as_str()).into())
    }

    /// Whether this is the URL of a queue that a worker of this fleet has created, or may have: a peer that names another one must not
    /// be written there for.
    pub(crate) fn is_of_fleet(&self, url: &str) -> bool {
        let own = self.url().strip_suffix(self.plan.instance.as_str());
        own.and_then(|own| url.strip_prefix(own)).is_some_and(|instance| InstanceId::parse(instance).is_ok())
    }

    /// Whether the last poll succeeded, and not too long ago; `None` before the first has ended.
    pub(crate) fn check(&self) -> Option<Result<(), BackendError>> {
        self.poller.check()
    }

    /// Feeds the desk until `stop` fires and then with what is in hand, keeps the queue alive, and reaps those of dead workers.
    pub(crate) async fn run(&self, desk: &Arc<dyn Desk>, stop: CancellationToken) {
        // of a second run the desk is the same
        self.desk.get_or_init(|| Arc::clone(desk));
        tokio::join!(
            Box::pin(self.poller.run(desk, stop.clone())),
            Box::pin(self.created.keep_alive(self.poller.health(), stop.clone())),
            Box::pin(self.maker.reap(stop))
        );
    }

    /// Deletes it.
    pub(crate) async fn delete(&self) {
        self.created.delete().await;
    }
}

/// Creates a worker's queue on trial and deletes it again.
///
/// # Errors
/// Those of the calls, which name the missing permission.
pub(crate) async fn try_worker_queue(
    client: &Client,
    prefix: &str,
    metrics: &BackendMetrics,
) -> Result<(), BackendError> {
    let trial = trial_maker(client, prefix, metrics).create(None, "doctor").await?;
    trial.try_delete().await
}

/// How many queues of dead workers there are.
///
/// # Errors
/// When the queues, or their tags, cannot be looked at.
pub(crate) async fn dead_worker_queues(
    client: &Client,
    prefix: &str,
    metrics: &BackendMetrics,
) -> Result<usize, BackendError> {
    trial_maker(client, prefix, metrics).look_for_dead().await
}

fn trial_maker(client: &Client, prefix: &str, metrics: &BackendMetrics) -> QueueMaker {
    let plan = QueuePlan {
        prefix: prefix.into(),
        instance: InstanceId::random(),
        request_timeout_max: Duration::ZERO,
        dependents: None,
    };
    QueueMaker::for_workers(client.clone(), plan, Duration::ZERO, metrics.clone())
}

#[async_trait]
impl Dependents for Unanswered {
    async fn attach(&self, _queue: &Queue) -> Result<(), BackendError> {
        Ok(())
    }

    async fn detach(&self, queue: &Queue) -> Result<(), BackendError> {
        if queue.url().ends_with(self.plan.instance.as_str()) {
            // our own, which was read to the end
            return Ok(());
        }
        let desk = self.desk.get().ok_or_else(|| {
            BackendError::new(ErrorKind::Unavailable, "reap", "nothing answers what is left in the queue yet")
        })?;
        match Box::pin(self.plan.poller(queue).drain(desk)).await {
            // another worker was faster
            Err(error) if error.kind() == ErrorKind::Config => Ok(()),
            drained => drained,
        }
    }
}
