//! The account: every queue and topic, and the way from an action's name to what it does.

mod messages;
mod queues;
mod setup;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::ServiceError;
use super::faults::Faults;
use super::query::{Form, Xml};
use super::queue::{Depth, Queue};
use super::request::Request;
use super::sns::Sns;

/// The region and the account id that queues' addresses and ARNs name.
pub(super) const REGION: &str = "us-east-1";
pub(super) const ACCOUNT_ID: &str = "000000000000";

/// All queues and topics of the emulator. Actions are plain functions under one short lock; only a long poll waits.
#[derive(Debug)]
pub(super) struct Account {
    state: Mutex<State>,
    pub(super) faults: Faults,
    pub(super) stopping: CancellationToken,
}

/// What the actions work on.
#[derive(Debug)]
pub(super) struct State {
    endpoint_url: String,
    pub(super) ids: Ids,
    pub(super) queues: BTreeMap<String, Queue>,
    deleted: HashMap<String, Instant>,
    tag_calls: VecDeque<Instant>,
    pub(super) sns: Sns,
    pub(super) faults: Faults,
}

/// Makes the ids of messages and subscriptions, which are the account's.
#[derive(Debug)]
pub(super) struct Ids {
    /// What they begin with; another one for each emulator.
    prefix: String,
    made: u64,
}

impl Ids {
    pub(super) fn next(&mut self) -> String {
        self.made += 1;
        format!("{}{:012x}", self.prefix, self.made)
    }
}

impl Account {
    pub(super) fn new(endpoint_url: String, seed: u32) -> Self {
        let faults = Faults::default();
        let state = State {
            endpoint_url,
            ids: Ids { prefix: format!("{seed:08x}-0000-4000-8000-"), made: 0 },
            queues: BTreeMap::new(),
            deleted: HashMap::new(),
            tag_calls: VecDeque::new(),
            sns: Sns::default(),
            faults: faults.clone(),
        };
        Self { state: Mutex::new(state), faults, stopping: CancellationToken::new() }
    }

    /// Does what the action's name says.
    pub(super) async fn perform(&self, action: &str, request: &Request) -> Result<Value, ServiceError> {
        if action == "ReceiveMessage" {
            return self.receive_message(request).await;
        }
        let now = Instant::now();
        let mut state = self.state();
        match action {
            "CreateQueue" => state.create_queue(now, request),
            "DeleteQueue" => state.delete_queue(now, request),
            "GetQueueUrl" => state.get_queue_url(request),
            "ListQueues" => Ok(state.list_queues(request)),
            "ListDeadLetterSourceQueues" => state.list_dead_letter_source_queues(request),
            "GetQueueAttributes" => state.get_queue_attributes(now, request),
            "SetQueueAttributes" => state.set_queue_attributes(request),
            "PurgeQueue" => state.queue(request)?.purge(now).map(|()| json!({})),
            "TagQueue" => state.tag_queue(now, request),
            "UntagQueue" => state.untag_queue(now, request),
            "ListQueueTags" => state.list_queue_tags(request),
            "SendMessage" => state.send_message(now, request),
            "SendMessageBatch" => state.send_message_batch(now, request),
            "DeleteMessage" => state.delete_message(request),
            "DeleteMessageBatch" => state.delete_message_batch(request),
            "ChangeMessageVisibility" => state.change_message_visibility(now, request),
            "ChangeMessageVisibilityBatch" => state.change_message_visibility_batch(now, request),
            _ => Err(ServiceError::unknown_action(action)),
        }
    }

    /// Does what the action of SNS says.
    pub(super) fn perform_sns(&self, action: &str, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        self.state().perform_sns(Instant::now(), action, form)
    }

    pub(super) fn url(&self, name: &str) -> String {
        self.state().url(name)
    }

    /// How many messages the queue holds, none for a queue that does not exist.
    pub(super) fn depth(&self, queue: &str) -> Option<Depth> {
        self.state().queues.get_mut(queue).map(|queue| queue.depth(Instant::now()))
    }

    /// How many receives wait on the queue: each holds its bell.
    pub(super) fn waiting(&self, queue: &str) -> usize {
        self.state().queues.get(queue).map_or(0, |queue| Arc::strong_count(&queue.changed) - 1)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The queue that the request's `QueueUrl` names.
    fn queue(&mut self, request: &Request) -> Result<&mut Queue, ServiceError> {
        self.queues.get_mut(request.queue()?).ok_or_else(ServiceError::no_such_queue)
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT_ID}/{name}", self.endpoint_url)
    }
}

/// The ARN of the queue of that name.
fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
}
