//! What the worker counts. Registered by a constructor into the registry that is passed in; labels come from closed sets only.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use proxy_core::{error::BackendError, method_label};

/// The worker's metrics, each named `mcp_worker_…`. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Open sessions.
    pub(crate) sessions: Gauge,
    sessions_closed: Family<ReasonLabel, Counter>,
    requests: Family<RequestLabels, Counter>,
    redeliveries: Family<OutcomeLabel, Counter>,
    refusals: Family<ReasonLabel, Counter>,
    forwards: Family<OutcomeLabel, Counter>,
    reply_failures: Family<ErrorLabel, Counter>,
    left_behind: Family<OutcomeLabel, Counter>,
    ledger_failures: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabel {
    error_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    outcome: &'static str,
}

/// What became of a request of a client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran here and was answered, by the server or by the core.
    Answered,
    /// It runs already: its answer will do for both.
    Shared,
    /// It got the answer that was given before.
    AnsweredAgain,
    /// It is not run, since it may have been.
    MayHaveRun,
    /// It was given out too often.
    OutOfReceives,
    /// It was not run: its session is not here.
    SessionGone,
    /// It was not run: its deadline had passed.
    DeadlinePassed,
    /// Its client cancelled it, before it came or while it ran.
    Cancelled,
    /// It was not run: it could not be taken.
    Refused,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Shared => "shared",
            Self::AnsweredAgain => "answered_again",
            Self::MayHaveRun => "may_have_run",
            Self::OutOfReceives => "out_of_receives",
            Self::SessionGone => "session_gone",
            Self::DeadlinePassed => "deadline_passed",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
        }
    }
}

/// What became of a call that a process before this one left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Its client was told that its session is gone, and that the call may have run.
    SessionGone,
    /// Its client got the answer that there was.
    AnsweredAgain,
    /// Nobody waits for it where something may be written to.
    Unheard,
    /// Its client could not be reached.
    NotSent,
}

impl Found {
    fn as_str(self) -> &'static str {
        match self {
            Self::SessionGone => "session_gone",
            Self::AnsweredAgain => "answered_again",
            Self::Unheard => "unheard",
            Self::NotSent => "not_sent",
        }
    }
}

impl Metrics {
    /// Registers the worker's metrics.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            sessions: Gauge::default(),
            sessions_closed: Family::default(),
            requests: Family::default(),
            redeliveries: Family::default(),
            refusals: Family::default(),
            forwards: Family::default(),
            reply_failures: Family::default(),
            left_behind: Family::default(),
            ledger_failures: Counter::default(),
        };
        let registry = registry.sub_registry_with_prefix("mcp_worker");
        registry.register("sessions", "Open sessions", metrics.sessions.clone());
        registry.register("sessions_closed", "Ended sessions, by reason", metrics.sessions_closed.clone());
        registry.register(
            "requests",
            "Requests received, by method and what became of them",
            metrics.requests.clone(),
        );
        registry.register(
            "redeliveries",
            "Requests that were given out before, by what became of them",
            metrics.redeliveries.clone(),
        );
        registry.register("refusals", "What was not taken, by reason", metrics.refusals.clone());
        registry.register(
            "forwards",
            "Messages of another worker's sessions, by what became of them",
            metrics.forwards.clone(),
        );
        registry.register(
            "reply_failures",
            "Messages to clients that could not be sent, by the kind of failure",
            metrics.reply_failures.clone(),
        );
        registry.register(
            "left_behind",
            "Calls that a process before this one left without an answer, by what became of them at start",
            metrics.left_behind.clone(),
        );
        registry.register(
            "ledger_failures",
            "Writes to the ledger that failed",
            metrics.ledger_failures.clone(),
        );
        metrics
    }

    /// Counts what became of a request that was delivered for the `receive_count`th time.
    pub(crate) fn request(&self, method: &str, outcome: Outcome, receive_count: u32) {
        let labels = RequestLabels { method: method_label(method), outcome: outcome.as_str() };
        self.requests.get_or_create(&labels).inc();
        if receive_count > 1 || outcome == Outcome::Shared {
            self.redeliveries.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
        }
    }

    /// Counts what was not taken.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a session's end.
    pub(crate) fn closed(&self, reason: &'static str) {
        self.sessions.dec();
        self.sessions_closed.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a message that was passed on to its session's worker, or could not be.
    pub(crate) fn forwarded(&self, result: Result<(), &BackendError>) {
        let outcome = result.map_or_else(|error| error.kind().as_str(), |()| "forwarded");
        self.forwards.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a message that did not reach its client.
    pub(crate) fn reply_failed(&self, error: &BackendError) {
        self.reply_failures.get_or_create(&ErrorLabel { error_type: error.kind().as_str() }).inc();
    }

    /// Counts a call that a process before this one had begun.
    pub(crate) fn left_behind(&self, found: Found) {
        self.left_behind.get_or_create(&OutcomeLabel { outcome: found.as_str() }).inc();
    }

    /// Counts a write that failed.
    pub(crate) fn ledger_failed(&self) {
        self.ledger_failures.inc();
    }
}
