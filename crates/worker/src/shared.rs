//! What all sessions of a worker share.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proxy_core::{
    AddressRules, Principal, Proxy, ProxyContext,
    error::{BackendError, ErrorKind},
    id::{InstanceId, SessionId},
    intake::{Arrival, Delivery, Intake, Refused, Settled},
    jittered,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::WorkerConfig,
    judge::{Case, Known},
    ledger::Ledger,
    metrics::Metrics,
    sessions::Sessions,
    worker::Told,
};

/// How long what cannot be dealt with now stays hidden, at most.
const GIVE_BACK: Duration = Duration::from_secs(2);

/// How long an id may be that a client makes up, in bytes: as long as a session's id may. The ledger keeps each several times.
pub(crate) const LONGEST_NAME: usize = 1024;

/// What all sessions of a worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: WorkerConfig,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) ledger: Ledger,
    pub(crate) instance: InstanceId,
    /// Where clients may have answers written to.
    pub(crate) rules: AddressRules,
    pub(crate) metrics: Metrics,
    pub(crate) sessions: Sessions,
    pub(crate) told: Told,
    /// Every session, and everything that goes on without one.
    pub(crate) tasks: TaskTracker,
    /// Fires when nothing new is taken any more.
    pub(crate) draining: CancellationToken,
    /// Fires when every session has to end.
    pub(crate) over: CancellationToken,
    /// Fires when what is not settled by then is given back.
    pub(crate) given_up: CancellationToken,
}

impl Shared {
    /// The case of a request that was delivered so.
    pub(crate) fn case<'ledger>(&self, delivery: &Delivery, known: Known<'ledger>) -> Case<'ledger> {
        Case {
            known,
            receive_count: delivery.receive_count,
            max_receives: self.config.max_receives,
            would_be_known: self.is_alone(delivery) && delivery.sent >= self.ledger.covers_since(),
            may_rerun: false,
            alive: true,
        }
    }

    /// The case of a request that may come again, delivered so.
    pub(crate) fn repeatable(&self, delivery: &Delivery) -> Case<'static> {
        let case = self.case(delivery, Known::Nothing);
        Case { would_be_known: true, may_rerun: true, ..case }
    }

    /// Whether nobody else can have received what was delivered so.
    pub(crate) fn is_alone(&self, delivery: &Delivery) -> bool {
        self.config.sole || delivery.to_owner
    }

    /// Whether the core has no such session any more.
    pub(crate) fn has_lost(&self, inner: &SessionId) -> bool {
        self.proxy.version(inner, &Principal::Anonymous).is_err()
    }

    /// Notes that whoever sent this hears of no refusal, and why.
    pub(crate) fn unheard(&self, refused: &Refused, arrival: &Arrival) {
        tracing::info!(
            session = ?arrival.session,
            error.r#type = refused.reason(),
            "a request of no session names no address that may be written to"
        );
        self.metrics.refused(refused.reason());
    }

    /// What becomes of a request whose answer was sent, or could not be.
    pub(crate) fn after_answer(&self, sent: Result<(), BackendError>, delivery: &Delivery) -> Settled {
        let Err(error) = sent else { return Settled::Done };
        match error.kind() {
            // Nobody is there any more.
            ErrorKind::SessionGone => Settled::Done,
            kind if kind.is_retryable() && delivery.receive_count < self.config.max_receives => give_back(),
            _ => Settled::Dead(format!("its answer could not be sent: {error}").into()),
        }
    }
}

/// For a little while, and not all at the same time.
pub(crate) fn give_back() -> Settled {
    Settled::GiveBack(jittered(GIVE_BACK))
}

/// Whether the deadline that a client named has passed.
pub(crate) fn is_past(context: Option<&ProxyContext>) -> bool {
    let Some(deadline) = context.and_then(|context| context.deadline) else { return false };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u128::from(deadline) < now.as_millis()
}
