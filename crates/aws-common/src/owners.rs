//! The queues that workers name for the later requests of their sessions, as a proxy sends to them.

use std::{
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use proxy_core::{
    AddressRules, ReplyAddress,
    backend::Remote,
    error::{BackendError, ErrorKind},
};
use tokio::time::Instant;

use crate::{
    attributes::OutgoingMessage, neighbourhood::neighbourhood, sender::BatchingSender,
    sender_pool::SenderPool,
};

/// How long it is not tried again where AWS did not let us send: credentials that had run out are renewed, permissions granted.
const DENIED_FOR: Duration = Duration::from_mins(5);

/// Sends to the queues of workers, as far as that is allowed.
#[derive(Debug)]
pub struct Owners {
    rules: AddressRules,
    pool: SenderPool,
    /// What kept a session's messages with the queue or topic that all workers read, said once.
    refused: Once,
    /// When AWS last did not let us send to one.
    denied: Mutex<Option<Instant>>,
}

impl Owners {
    /// Sends to the queues that the rules allow.
    pub fn new(rules: AddressRules, pool: SenderPool) -> Self {
        Self { rules, pool, refused: Once::new(), denied: Mutex::default() }
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
        (allowed && !self.is_denied()).then_some(owner)
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
                self.deny(&error);
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

    fn is_denied(&self) -> bool {
        let denied = *self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.is_some_and(|denied| denied.elapsed() < DENIED_FOR)
    }

    fn deny(&self, error: &BackendError) {
        let before = self.denied.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        if before.is_none_or(|before| before.elapsed() >= DENIED_FOR) {
            tracing::warn!(error = %error, "workers' queues cannot be sent to: requests go by the one that all workers read");
        }
    }
}

fn gone(error: BackendError) -> BackendError {
    let message = "the worker that has this session is no more: initialize again";
    BackendError::new(ErrorKind::SessionGone, "send", message).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_sdk_sqs::{
        Client,
        config::{BehaviorVersion, Config},
    };
    use prometheus_client::registry::Registry;
    use proxy_core::{
        BackendMetrics,
        backend::Peer,
        id::{InstanceId, RouteKey},
    };

    use super::*;

    const REQUESTS: &str = "https://sqs.eu-west-1.amazonaws.com/1/requests";

    #[tokio::test(start_paused = true)]
    async fn what_was_denied_once_is_tried_again_later() {
        let client = Client::from_conf(Config::builder().behavior_version(BehaviorVersion::latest()).build());
        let metrics = BackendMetrics::new("sqs", &mut Registry::default());
        let pool = SenderPool::new(client, REQUESTS, 1024, "the worker's queue", metrics);
        let owners = Owners::new(Owners::rules(None, REQUESTS, None).unwrap(), pool);
        let owner = REQUESTS.replace("requests", "mcp-worker-x");
        let peer = Peer { owner: Some(owner.as_str().into()), ..Peer::default() };
        let remote = Remote { route: RouteKey::random(&InstanceId::random()), peer: Some(Arc::new(peer)) };
        assert_eq!(owners.of(&remote), Some(&*owner));
        owners.deny(&BackendError::new(ErrorKind::Denied, "send", "the token has expired"));
        assert_eq!(owners.of(&remote), None, "by the queue that all read, for now");
        tokio::time::advance(DENIED_FOR).await;
        assert_eq!(owners.of(&remote), Some(&*owner));
    }
}
