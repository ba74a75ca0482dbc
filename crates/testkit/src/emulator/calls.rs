//! Who called what: counters for the bench, and the permissions that were needed for the IAM policy's proof.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often each action was called, by the access key id that signed the call. Refused calls count too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    counts: BTreeMap<(String, String), u64>,
}

/// A permission that a call needed, and the queue or topic that it needed it on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The access key id that signed the call.
    pub access_key: String,
    /// The IAM action, `sqs:SendMessage` say. A batch needs the permission of its single action, `CreateQueue` with
    /// tags needs `sqs:TagQueue` too, `CreateTopic` with tags `sns:TagResource`, and STS's `GetCallerIdentity` none.
    pub permission: String,
    /// The queue's or the topic's name, or `*` where the action names none, as those on a subscription.
    pub resource: String,
}

impl Calls {
    /// The calls of one action by one access key.
    pub fn of(&self, access_key: &str, action: &str) -> u64 {
        self.counts.get(&(access_key.to_owned(), action.to_owned())).copied().unwrap_or(0)
    }

    /// The calls of any action by one access key.
    pub fn by(&self, access_key: &str) -> u64 {
        self.iter().filter(|(key, ..)| *key == access_key).map(|(.., count)| count).sum()
    }

    /// All calls.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Every access key, action and count.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.counts.iter().map(|((key, action), count)| (key.as_str(), action.as_str(), *count))
    }

    /// The calls since an earlier look.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let since =
            |(key, action): &(String, String), count: u64| count.saturating_sub(earlier.of(key, action));
        let counts = self.counts.iter().map(|(call, count)| (call.clone(), since(call, *count)));
        Self { counts: counts.filter(|(_, count)| *count > 0).collect() }
    }
}

/// Keeps the counters and the permissions.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    recorded: Mutex<(Calls, BTreeSet<Use>)>,
}

impl Recorder {
    pub(super) fn record(&self, access_key: &str, action: &str, permissions: &[String], resource: &str) {
        let mut recorded = self.recorded();
        *recorded.0.counts.entry((access_key.to_owned(), action.to_owned())).or_default() += 1;
        recorded.1.extend(permissions.iter().map(|permission| Use {
            access_key: access_key.to_owned(),
            permission: permission.clone(),
            resource: resource.to_owned(),
        }));
    }

    pub(super) fn calls(&self) -> Calls {
        self.recorded().0.clone()
    }

    pub(super) fn uses(&self) -> BTreeSet<Use> {
        self.recorded().1.clone()
    }

    fn recorded(&self) -> MutexGuard<'_, (Calls, BTreeSet<Use>)> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
