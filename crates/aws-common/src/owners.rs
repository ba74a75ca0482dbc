//! The queues that workers name for the later requests of their sessions, as a proxy sends to them.

use proxy_core::{
    AddressRules,
    backend::Remote,
    error::{BackendError, ErrorKind},
};
use tokio::time::Instant;

use crate::{
    attributes::{OutgoingMessage, ReplyAddress},
    sender_pool::SenderPool,
};

/// Sends to the queues of workers, as far as that is allowed.
#[derive(Debug)]
pub struct Owners {
    rules: AddressRules,
    pool: SenderPool,
}

impl Owners {
    /// Sends to the queues that the rules allow.
    pub fn new(rules: AddressRules, pool: SenderPool) -> Self {
        Self { rules, pool }
    }

    /// The queue that a session's messages go to, where its far end named one that they may go to.
    pub fn of<'remote>(&self, remote: &'remote Remote) -> Option<&'remote str> {
        let owner = remote.peer.as_deref()?.owner.as_deref()?;
        let allowed = self.rules.allow(&ReplyAddress::Sqs(owner.into())) && self.pool.reaches(owner);
        allowed.then_some(owner)
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
