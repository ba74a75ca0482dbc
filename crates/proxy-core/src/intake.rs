//! The contract between the worker and the async transports: the mirror of [`backend`](crate::backend).
//!
//! An [`Intake`] is one transport seen from the server's side, shared by every session of the worker. It hands what clients send to
//! the [`Desk`] that it runs for, and carries what goes back to them with [`Intake::reply`].

use std::{fmt, time::SystemTime};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    backend::Limits,
    error::BackendError,
    id::RemoteSession,
    message::{Message, code},
    proxy_context::{ProxyContext, ReplyAddress},
};

/// One async transport, seen from the server's side.
///
/// An intake knows no session. It never acknowledges a request before [`Taken::settled`] says what became of it, and never decides by
/// itself where a reply goes.
#[async_trait]
pub trait Intake: fmt::Debug + Send + Sync + 'static {
    /// Its name in the configuration, in metrics and in spans, such as `sqs`.
    fn name(&self) -> &'static str;

    /// What the transport takes back, read from it at start.
    fn limits(&self) -> Limits;

    /// Whether clients hear at once, in the transport's own response, what became of what they sent ([`Taken::receipt`]). Where they
    /// do not, the desk answers a refused request by a reply.
    fn has_receipts(&self) -> bool;

    /// The patterns of reply addresses that are this transport's own neighbourhood, such as the queues of its account and region:
    /// what is allowed where nothing is configured, beside loopback URLs.
    fn neighbourhood(&self) -> Vec<String>;

    /// The address that only this worker reads, where it has one: later requests of its sessions go there.
    fn owner(&self) -> Option<&str> {
        None
    }

    /// The address of the worker that made up this session id, where it is another one's.
    fn owner_of(&self, _session: &RemoteSession) -> Option<Box<str>> {
        None
    }

    /// Whether the transport can be reached and we may use it. Called for readiness, so it changes nothing.
    async fn check(&self) -> Result<(), BackendError>;

    /// Feeds the desk until `stopping` says to end, then finishes what is in hand and returns `Ok`.
    ///
    /// Recovers from transient failures by itself: an error, or an `Ok` before [`Stopping::stop`] fires, means that this intake is
    /// finished, which ends the process.
    async fn run(&self, desk: std::sync::Arc<dyn Desk>, stopping: Stopping) -> Result<(), BackendError>;

    /// Carries one message to a client. Resolves with `Ok` once the transport has durably accepted it. Transient failures that
    /// certainly sent nothing are retried inside, with jittered backoff, until [`Reply::deadline`].
    async fn reply(&self, reply: Reply) -> Result<(), BackendError>;

    /// Passes what arrived here on to the worker at `owner`. Resolves with `Ok` once the transport has durably accepted it.
    ///
    /// # Errors
    /// [`ErrorKind::SessionGone`](crate::error::ErrorKind::SessionGone): that worker is no more.
    async fn forward(&self, owner: &str, arrival: &Arrival) -> Result<(), BackendError>;

    /// Frees what the intake keeps for a session. Called once for each session that the desk opened.
    async fn close(&self, session: &RemoteSession);
}

/// Takes what an intake received: the worker, seen from the transport.
pub trait Desk: fmt::Debug + Send + Sync {
    /// Takes one arrival. Never blocks and never sends, so a slow session cannot hold up the others. Arrivals of one session take
    /// effect in the order in which they were handed over.
    fn take(&self, arrival: Arrival) -> Taken;
}

/// How an intake is told to end: in two steps, so that sessions can finish.
#[derive(Debug, Clone, Default)]
pub struct Stopping {
    /// Take no new work where it can be told from that of sessions which live: a queue that other workers read too is read no more.
    pub drain: CancellationToken,
    /// Nothing is wanted any more.
    pub stop: CancellationToken,
}

/// Something that a client sent.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The session that its envelope names. On an `initialize`: the id that the client proposes.
    pub session: Option<RemoteSession>,
    /// The client that its envelope names.
    pub client_id: Option<Box<str>>,
    /// The MCP revision that its envelope names, as it stood there.
    pub version: Option<Box<str>>,
    /// Where the answer goes, as the message or its envelope says. An intake has taken it out of the message.
    pub reply: Option<ReplyTo>,
    /// What our own proxy says beside it; `None` from a peer that knows none of our extensions.
    pub context: Option<ProxyContext>,
    /// How it came.
    pub delivery: Delivery,
    /// What came.
    pub event: ArrivalEvent,
}

/// What came from a client.
#[derive(Debug, Clone)]
pub enum ArrivalEvent {
    /// A message.
    Message(Message),
    /// The client ended the session.
    End,
}

/// How something came.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The transport's own id of the message, for logs and for telling a second delivery from a second message.
    pub message_id: Option<Box<str>>,
    /// How often the transport has given it out, this time included: 1 where it never does so twice. What other workers received
    /// before they passed it on counts.
    pub receive_count: u32,
    /// When the client sent it, as the transport says. [`UNIX_EPOCH`](std::time::UNIX_EPOCH) for what comes out of a dead worker's queue:
    /// whether that one had begun it, no other's ledger can know.
    pub sent: SystemTime,
    /// Whether it came by the address that only this worker reads ([`Intake::owner`]), so that nobody else has its session.
    pub to_owner: bool,
}

/// Where a message for a client goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyTo {
    /// To an address that the client named. Nothing may be written to it that is not allowed.
    Address(ReplyAddress),
    /// To the response of the request that this number stands for; only its intake knows it.
    Response(u64),
}

/// A message for a client.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The session that it belongs to. `None`: none was opened.
    pub session: Option<RemoteSession>,
    /// The session's own address, that of its `initialize`.
    pub to: ReplyTo,
    /// Where the request that it answers, or belongs to, wants its answer. `None`: it belongs to no request, or to nobody knows which.
    pub request: Option<ReplyTo>,
    /// What our own proxy is told beside it; `None` for a peer that knows none of our extensions.
    pub context: Option<ProxyContext>,
    /// The bucket and prefix of the large payloads that the client reads, as it announced them, if it reads any.
    pub payloads: Option<Box<str>>,
    /// When nobody waits for it any more. Retries end here.
    pub deadline: Instant,
    /// The message.
    pub message: Message,
}

/// What became of an arrival.
#[must_use = "an arrival is acknowledged by what became of it"]
pub struct Taken {
    /// What the client is told at once, where the transport can.
    pub receipt: Receipt,
    /// Resolves when the transport may acknowledge. While it is pending the intake keeps the message from being given out again.
    pub settled: BoxFuture<'static, Settled>,
}

impl fmt::Debug for Taken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Taken").field("receipt", &self.receipt).finish_non_exhaustive()
    }
}

/// What a client is told at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// A session was opened; its answer is on its way.
    Opened(RemoteSession),
    /// It was taken; an answer, if it wants one, is on its way.
    Accepted,
    /// The session has ended, as the client wished.
    Ended,
    /// It was not taken: nothing of it has run, or will.
    Refused(Refused),
}

/// How the transport settles with a message. Exhaustive on purpose: a new case must be thought about in every intake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Nothing is left to do: acknowledge.
    Done,
    /// Not now and not here: give it back, hidden for so long.
    GiveBack(Duration),
    /// It can never be done: out of the way with it, to the dead-letter queue where there is one, with this reason.
    Dead(Box<str>),
}

/// Why an arrival was not taken. `Display` is fit for clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The session does not exist here, has ended, or is another client's.
    #[error(
        "the worker does not know this session: it has ended, or the worker was restarted: initialize again"
    )]
    UnknownSession,
    /// A message without a session that is no `initialize`.
    #[error("the message names no session: initialize first")]
    NoSession,
    /// The reply address is missing.
    #[error("initialize names no address that answers can go to")]
    NoReplyAddress,
    /// The reply address is not one that this worker may write to.
    #[error(
        "the worker may not write to the address that answers are asked to: its reply_allow does not name it"
    )]
    ReplyNotAllowed,
    /// As much is under way as may be; the text says what.
    #[error("{0}")]
    Busy(Box<str>),
    /// The worker is shutting down.
    #[error("the worker is shutting down: try again later")]
    Draining,
    /// What was sent cannot be taken in this state; the text says why.
    #[error("{0}")]
    Invalid(Box<str>),
}

impl Refused {
    /// The JSON-RPC error code.
    pub fn code(&self) -> i64 {
        match self {
            Self::UnknownSession => code::SESSION_NOT_FOUND,
            Self::NoSession | Self::NoReplyAddress | Self::Invalid(_) => code::INVALID_REQUEST,
            Self::ReplyNotAllowed | Self::Busy(_) | Self::Draining => code::TRANSPORT,
        }
    }

    /// The word for `data.reason` and for the `reason` label of metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownSession => "session_not_found",
            Self::NoSession => "no_session",
            Self::NoReplyAddress => "no_reply_address",
            Self::ReplyNotAllowed => "reply_not_allowed",
            Self::Busy(_) => "busy",
            Self::Draining => "draining",
            Self::Invalid(_) => "invalid_request",
        }
    }
}
