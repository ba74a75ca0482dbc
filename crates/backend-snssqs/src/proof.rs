//! Whether answers would come: shown by a message to ourselves, published where the far end publishes answers.
//!
//! A subscription, its filter and the queue's policy take effect at a time that no call tells: a filter up to 15 minutes after it was
//! set (SNS developer guide, "Amazon SNS subscription filter policies").

use std::time::Duration;

use aws_common::{Backoff, PollHealth};
use proxy_core::{
    ProxyContext,
    error::{BackendError, ErrorKind},
    id::{InstanceId, RouteKey},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::topic::{Topic, text_attribute, unmade};

/// The delay before the second probe, and the longest between two.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// For how long readiness waits for a probe that is on its way.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a probe says; the far end gets none.
const PROBE: &str = r#"{"jsonrpc":"2.0","method":"notifications/proxy/probe"}"#;

/// What is known of the way that answers take.
#[derive(Debug)]
pub(crate) struct Proof(watch::Sender<State>);

#[derive(Debug, Clone, Default)]
enum State {
    /// Nobody looks yet.
    #[default]
    Idle,
    /// A probe is on its way, or could not be sent.
    Looking { failed: Option<(ErrorKind, Box<str>)> },
    /// A probe has come back.
    Proven,
}

impl Default for Proof {
    fn default() -> Self {
        Self(watch::Sender::new(State::Idle))
    }
}

impl Proof {
    /// Says that the way was made anew, so that nothing is known of it.
    pub(crate) fn lost(&self) {
        self.0.send_if_modified(|state| {
            let was_proven = matches!(state, State::Proven);
            if was_proven {
                *state = State::Looking { failed: None };
            }
            was_proven
        });
    }

    /// Whether answers would come; waits a little for a probe that is on its way or about to be sent.
    ///
    /// # Errors
    /// `Unavailable` until a probe has come back; what the topic says where none can be sent.
    pub(crate) async fn check(&self) -> Result<(), BackendError> {
        let mut states = self.0.subscribe();
        let decided =
            states.wait_for(|state| matches!(state, State::Proven | State::Looking { failed: Some(_) }));
        drop(timeout(PATIENCE, decided).await);
        let state = self.0.borrow().clone();
        match state {
            State::Proven => Ok(()),
            State::Looking { failed: Some((kind, message)) } => {
                Err(BackendError::new(kind, "check", message))
            }
            State::Idle | State::Looking { failed: None } => Err(unproven("check")),
        }
    }

    /// Waits until answers would come, where somebody looks whether they do.
    ///
    /// # Errors
    /// `Unavailable` at the deadline.
    pub(crate) async fn wait(&self, deadline: Instant) -> Result<(), BackendError> {
        let mut states = self.0.subscribe();
        let proven = states.wait_for(|state| !matches!(state, State::Looking { .. }));
        match timeout_at(deadline, proven).await {
            Ok(_) => Ok(()),
            Err(_) => Err(unproven("send")),
        }
    }

    /// Sends probes until one has come back, and again whenever the way was made anew, until `shutdown` fires.
    pub(crate) async fn keep(
        &self,
        topic: &Topic,
        instance: &InstanceId,
        polls: &PollHealth,
        shutdown: CancellationToken,
    ) {
        let proving = async {
            let mut states = self.0.subscribe();
            self.0.send_replace(State::Looking { failed: None });
            while states.wait_for(|state| matches!(state, State::Looking { .. })).await.is_ok() {
                self.prove(topic, instance, polls).await;
            }
        };
        shutdown.run_until_cancelled(proving).await;
        // what is sent from here on belongs to the end
        self.0.send_replace(State::Idle);
    }

    async fn prove(&self, topic: &Topic, instance: &InstanceId, polls: &PollHealth) {
        let started = Instant::now();
        let mut seen = polls.probes();
        seen.mark_unchanged();
        let mut backoff = Backoff::new(AGAIN.0, AGAIN.1);
        loop {
            let failed = publish(topic, instance).await.err();
            if let Some(error) = &failed {
                tracing::warn!(error = %error, error.type = error.kind().as_str(), "no probe can be sent");
            }
            let failed = failed.map(|error| (error.kind(), error.to_string().into()));
            self.0.send_replace(State::Looking { failed });
            if timeout(backoff.next_delay(), seen.changed()).await.is_ok() {
                break;
            }
        }
        tracing::info!(elapsed_ms = started.elapsed().as_millis(), "answers come: a probe has come back");
        self.0.send_replace(State::Proven);
    }
}

/// Publishes a message to this instance where the far end publishes answers.
pub(crate) async fn publish(topic: &Topic, instance: &InstanceId) -> Result<(), BackendError> {
    let context = ProxyContext {
        v: ProxyContext::VERSION,
        probe: Some(instance.as_str().into()),
        ..ProxyContext::default()
    };
    let mut request = topic.client().publish().topic_arn(topic.arn()).message(PROBE);
    for (name, value) in [
        ("MessageType", "jsonrpc"),
        ("SessionId", RouteKey::random(instance).as_str()),
        ("ProxyContext", &context.to_json()),
    ] {
        request = request.message_attributes(name, text_attribute("String", value).map_err(unmade)?);
    }
    let call = topic.call("check", "sns:Publish");
    let result = request.send().await.map_err(|error| call.failed(&error));
    topic.metrics().called("Publish", result.as_ref().map(|_| ()));
    result.map(|_| ())
}

fn unproven(operation: &'static str) -> BackendError {
    let message = "answers do not come yet: no probe has come back through the response topic; a new subscription takes up to 15 minutes";
    BackendError::new(ErrorKind::Unavailable, operation, message)
}
