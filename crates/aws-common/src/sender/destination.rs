//! Where batches go: how one is transmitted, and how the answer says what became of each message.

use std::fmt::Debug;

use async_trait::async_trait;
use proxy_core::error::BackendError;

use crate::{attributes::OutgoingMessage, error::Call};

/// A queue or topic that takes batches of at most ten messages.
#[async_trait]
pub trait Destination: Debug + Send + Sync + 'static {
    /// The API's action, for the metrics, such as `SendMessageBatch`.
    fn action(&self) -> &'static str;

    /// The permission that the action needs, such as `sqs:SendMessage`.
    fn permission(&self) -> &'static str;

    /// Makes one call for all of `messages`, which are at most ten and fit into one batch. A message's entry has its index in the
    /// slice as its id; a message's group goes into the entry's `MessageGroupId` and `MessageDeduplicationId`.
    ///
    /// # Errors
    /// What `call` makes of the SDK's error when the call as a whole failed.
    async fn transmit(&self, messages: &[&OutgoingMessage], call: Call<'_>)
    -> Result<Outcomes, BackendError>;
}

/// What became of each message of a batch. A message that nothing was said of may have arrived.
#[derive(Debug, Default)]
pub struct Outcomes(Vec<(Box<str>, Outcome)>);

/// What became of one message.
#[derive(Debug)]
pub(super) enum Outcome {
    Sent,
    Failed { code: Box<str>, sender_fault: bool },
}

impl Outcomes {
    /// The message of the entry with this id is stored.
    pub fn sent(&mut self, entry_id: &str) {
        self.0.push((entry_id.into(), Outcome::Sent));
    }

    /// The message of the entry with this id is not stored, or perhaps not.
    pub fn failed(&mut self, entry_id: &str, code: &str, sender_fault: bool) {
        self.0.push((entry_id.into(), Outcome::Failed { code: code.into(), sender_fault }));
    }

    pub(super) fn of(&self, index: usize) -> Option<&Outcome> {
        let id = index.to_string();
        self.0.iter().find(|(entry_id, _)| **entry_id == *id).map(|(_, outcome)| outcome)
    }
}
