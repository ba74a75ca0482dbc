//! The account: every queue and topic, and what tests see of them without asking.

mod setup;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::faults::Faults;
use super::s3::S3;
use super::sns::Sns;
use super::sqs::queue::{Depth, Queue};

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
    pub(super) deleted: HashMap<String, Instant>,
    pub(super) tag_calls: VecDeque<Instant>,
    pub(super) sns: Sns,
    pub(super) s3: S3,
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
            s3: S3::default(),
            faults: faults.clone(),
        };
        Self { state: Mutex::new(state), faults, stopping: CancellationToken::new() }
    }

    pub(super) fn url(&self, name: &str) -> String {
        self.state().url(name)
    }

    /// How many messages the queue holds, none for a queue that does not exist.
    pub(super) fn depth(&self, queue: &str) -> Option<Depth> {
        self.state().queues.get_mut(queue).map(|queue| queue.depth(Instant::now()))
    }

    pub(super) fn redeliver(&self, queue: &str) {
        if let Some(queue) = self.state().queues.get_mut(queue) {
            queue.redeliver(Instant::now());
        }
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
    pub(super) fn url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT_ID}/{name}", self.endpoint_url)
    }
}
