//! The queues that workers name for the later requests of their sessions, as a proxy sends to them.

use std::sync::{
    Once,
    atomic::{AtomicBool, Ordering},
};

use proxy_core::{
    AddressRules,
    backend::Remote,
    error::{BackendError, ErrorKind},
};
use tokio::time::Instant;

use crate::{
    attributes::{OutgoingMessage, ReplyAddress},
    neighbourhood::neighbourhood,
    sender::BatchingSender,
    sender_pool::SenderPool,
};

/// Sends to the queues of workers, as far as that is allowed.
#[derive(Debug)]
pub struct Owners {
    rules: AddressRules,
    pool: SenderPool,
    /// What kept a session's messages with the queue or topic that all workers read, said once.
    refused: Once,
    /// AWS did not let us send to one: then it is not tried again.
    denied: AtomicBool,
}

impl Owners {
    /// Sends to the queues that the rules allow.
    pub fn new(rules: AddressRules, pool: SenderPool) -> Self {
        Self { rules, pool, refused: Once::new(), denied: AtomicBool::new(false) }
    }

    /// Which queues may be sent to: those that the setting `owner_allow` names, else those near the one at `queue_url`.
    ///
    /// # Errors
    /// `Config` for patterns that are none.
    pub fn rules(
        allow: Option<&[String]>,
        queue_url: &str,
        region: Option<&str>,
    ) -> Result<AddressRules, BackendError> {
        let Some(patterns) = allow else {
            return Ok(AddressRules::neighbourhood(neighbourhood(queue_url, region)));
        };
        AddressRules::configured("owner_allow", patterns).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            BackendError::new(ErrorKind::Config, "start", problems.join("; "))
        })
    }

    /// The queue that a session's messages go to, where its far end named one that they may go to.
    pub fn of<'remote>(&self, remote: &'remote Remote) -> Option<&'remote str> {
        let owner = remote.peer.as_deref()?.owner.as_deref()?;
        let allowed = self.rules.allow(&ReplyAddress::Sqs(owner.into())) && self.pool.reaches(owner);
        if !allowed {
            self.refused.call_once(|| {
                tracing::warn!(
                    ?owner,
                    "a worker named a queue that owner_allow does not: its sessions' requests go by the one that all workers read"
                );
            });
        }
        (allowed && !self.denied.load(Ordering::Relaxed)).then_some(owner)
    }

    /// Sends a message to the worker that has its session, where that named a queue that may be written to, otherwise by `shared`, which
    /// all workers read.
    ///
    /// # Errors
    /// `SessionGone` when the worker is no more; otherwise those of the send.
    pub async fn carry(
        &self,
        remote: &Remote,
        message: OutgoingMessage,
        deadline: Instant,
        shared: &BatchingSender,
    ) -> Result<(), BackendError> {
        let Some(owner) = self.of(remote) else { return shared.send(message, deadline).await };
        match self.send(owner, message.clone(), deadline).await {
            Err(error) if error.kind() == ErrorKind::Denied => {
                if !self.denied.swap(true, Ordering::Relaxed) {
                    tracing::warn!(error = %error, "workers' queues cannot be sent to: requests go by the one that all workers read");
                }
                shared.send(message, deadline).await
            }
            sent => sent,
        }
    }

    /// Sends a message there; otherwise as [`SenderPool::send`].
    ///
    /// # Errors
    /// `SessionGone` when the queue is no more, and with it the worker.
    pub async fn send(
        &self,
        owner: &str,
        mut message: OutgoingMessage,
        deadline: Instant,
    ) -> Result<(), BackendError> {
        // a standard queue, whatever the one is that all workers read
        message.group = None;
        let sent = self.pool.send(owner, message, deadline).await;
        sent.map_err(|error| if error.kind() == ErrorKind::Config { gone(error) } else { error })
    }

    /// Resolves once nothing is on its way. Nothing may be sent any more.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn gone(error: BackendError) -> BackendError {
    let message = "the worker that has this session is no more: initialize again";
    BackendError::new(ErrorKind::SessionGone, "send", message).with_source(error)
}
