//! Failures on demand: refused actions, throttling, errors before and after the effect, slowness.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::ServiceError;

/// What goes wrong with a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// `AccessDenied`, SNS's `AuthorizationError`, status 403.
    AccessDenied,
    /// `RequestThrottled`, status 403; SNS's `Throttling`, status 400.
    Throttled,
    /// `InternalFailure`, SNS's `InternalError`, status 500, without any effect.
    Internal,
    /// `ServiceUnavailable`, status 503, without any effect.
    Unavailable,
    /// The given error, without any effect.
    Error(ServiceError),
    /// The action takes place, and its caller is told of the service's failure as for `Internal`.
    AfterEffect,
    /// The action takes place after so much time.
    Slow(Duration),
    /// The action takes place at once, and its caller is told after so much time.
    SlowAnswer(Duration),
}

/// The failures that are set, shared by all who hold a clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Arc<Mutex<Planned>>);

#[derive(Debug, Default)]
struct Planned {
    next: Vec<NextCalls>,
    entries: Vec<ServiceError>,
    denied: BTreeSet<Denial>,
}

#[derive(Debug)]
struct NextCalls {
    access_key: Option<String>,
    action: String,
    failure: Failure,
    left: usize,
}

/// Who is denied what; `None` is everyone.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Denial {
    access_key: Option<String>,
    permission: String,
}

impl Denial {
    /// Permissions go by their whole name, `sqs:SendMessage`, or without the service.
    fn names(&self, permission: &str) -> bool {
        permission == self.permission
            || permission.split_once(':').is_some_and(|(_, action)| action == self.permission)
    }

    fn concerns(&self, access_key: &str) -> bool {
        self.access_key.as_deref().is_none_or(|key| key == access_key)
    }
}

impl Faults {
    pub(super) fn fail_next(&self, access_key: Option<&str>, action: &str, failure: Failure, times: usize) {
        let access_key = access_key.map(str::to_owned);
        self.planned().next.push(NextCalls { access_key, action: action.into(), failure, left: times });
    }

    pub(super) fn fail_next_entries(&self, error: &ServiceError, times: usize) {
        self.planned().entries.extend(std::iter::repeat_n(error.clone(), times));
    }

    pub(super) fn deny(&self, access_key: Option<&str>, permission: &str) {
        let access_key = access_key.map(str::to_owned);
        self.planned().denied.insert(Denial { access_key, permission: permission.into() });
    }

    pub(super) fn allow(&self, permission: &str) {
        self.planned().denied.retain(|denial| denial.permission != permission);
    }

    /// The permission that the caller lacks, if any.
    pub(super) fn denied<'a>(&self, access_key: &str, permissions: &'a [String]) -> Option<&'a str> {
        let planned = self.planned();
        let is_denied = |permission: &str| {
            planned.denied.iter().any(|denial| denial.names(permission) && denial.concerns(access_key))
        };
        permissions.iter().map(String::as_str).find(|permission| is_denied(permission))
    }

    /// The failure that this call is to meet, if any; it is used up by that.
    pub(super) fn take(&self, access_key: &str, action: &str) -> Option<Failure> {
        let mut planned = self.planned();
        let concerns = |next: &NextCalls| {
            next.left > 0
                && next.action == action
                && next.access_key.as_deref().is_none_or(|key| key == access_key)
        };
        let next = planned.next.iter_mut().find(|next| concerns(next))?;
        next.left -= 1;
        let failure = next.failure.clone();
        planned.next.retain(|next| next.left > 0);
        Some(failure)
    }

    /// The error that this batch entry is to meet, if any; it is used up by that.
    pub(super) fn take_entry(&self) -> Option<ServiceError> {
        self.planned().entries.pop()
    }

    fn planned(&self) -> MutexGuard<'_, Planned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
