//! The contract between the core and the async transports.
//!
//! A [`Backend`] is one connection to one transport, shared by every session of the process. It carries messages away with
//! [`Backend::send`] and hands what it receives to the [`Inbox`] that it was built with; the core finds out whose it is.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    error::BackendError,
    id::{RemoteSession, RouteKey, WireId},
    message::Message,
    version::ProtocolVersion,
};

/// An adapter to one async transport, shared by the whole process.
///
/// A backend never retries what may have arrived, never sees a client's session id and never knows another backend.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Its name in the configuration, in metrics and in spans, such as `sqs`.
    fn name(&self) -> &'static str;

    /// What the transport takes, read from it at start.
    fn limits(&self) -> Limits;

    /// Whether the transport can be reached and we may use it. Called for readiness, so it changes nothing.
    async fn check(&self) -> Result<(), BackendError>;

    /// Carries one message away. Resolves with `Ok` once the transport has durably accepted it.
    ///
    /// The error says whether the message may have arrived ([`BackendError::delivery`]). With
    /// [`ErrorKind::SessionGone`](crate::error::ErrorKind::SessionGone) it ends the message's exchange and the session at once.
    /// Transient failures that certainly sent nothing are retried inside, with jittered backoff, until [`Context::deadline`].
    /// Dropping the future may or may not have sent the message.
    async fn send(&self, outbound: Outbound) -> Result<Sent, BackendError>;

    /// Feeds the inbox until `shutdown` fires, then finishes what is in hand and returns `Ok`.
    ///
    /// Recovers from transient failures by itself: an error, or an `Ok` before `shutdown`, means that this backend is finished,
    /// which ends the process.
    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError>;

    /// Frees what the backend keeps for a session and tells the far end where it can be told. Called once for each route key
    /// of a session that `send` saw.
    async fn close(&self, remote: &Remote) -> Result<(), BackendError>;
}

/// Where a backend hands over what it receives. Given to a backend when it is built.
pub trait Inbox: fmt::Debug + Send + Sync {
    /// Takes one received message. Never blocks and never sends, so a slow session cannot hold up the others.
    fn deliver(&self, inbound: Inbound) -> Settlement;
}

/// What a transport takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest message in bytes, everything that the transport counts included.
    pub message_bytes: usize,
}

/// What the transport said when it took a message.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// The session id that a receipt or response head names, the proposed one or the far end's own. It is stored when the send is
    /// reported, unless one is known by then; what is sent to the session from then on has it in [`Remote::peer`]. A backend
    /// whose answer to `initialize` can overtake the report names it in that answer's [`Inbound::peer`] too.
    pub session: Option<RemoteSession>,
}

/// What the far end said of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// The session id that it goes by, where it names one; the proposed one counts as none of its own.
    pub session: Option<RemoteSession>,
    /// The address that the session's later requests should go to, if it named one.
    pub owner: Option<Box<str>>,
    /// The eras that it speaks; empty for a peer that knows none of our extensions.
    pub eras: Vec<Box<str>>,
    /// The bucket and prefix of the large payloads that it reads, if it reads any.
    pub payloads: Option<Box<str>>,
}

/// What the far end knows us by.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The path, proposed to the far end as its session id.
    pub route: RouteKey,
    /// What the far end said of itself, once it did.
    pub peer: Option<Arc<Peer>>,
}

/// A message on its way to the far end.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Who it is for.
    pub remote: Remote,
    /// The request that this is, or that a cancellation or a client's answer belongs to.
    pub about: Option<WireId>,
    /// Counts the messages of its route key from 0: with the route key it names this message for ever.
    pub number: u64,
    /// What travels beside the message.
    pub context: Context,
    /// The message, its ids and tokens already those of the wire.
    pub message: Message,
}

/// What travels beside a message.
#[derive(Debug, Clone)]
pub struct Context {
    /// The negotiated revision, once there is one.
    pub version: Option<ProtocolVersion>,
    /// When nobody waits for the effect of this message any more. Retries end here.
    pub deadline: Instant,
}

/// A message from the far end, or news about one.
#[derive(Debug)]
pub struct Inbound {
    /// The path that the message's envelope names, if it names one that a proxy could have made.
    pub route: Option<RouteKey>,
    /// What the far end says of itself. All of it is taken in from the answer to `initialize`; of every later message the session
    /// alone is looked at: where that contradicts what is known, the message is unroutable.
    pub peer: Option<Peer>,
    /// The request that a notification or server request belongs to, where the far end says so.
    pub related: Option<WireId>,
    /// The message's number within its exchange, from 1; on an answer, how many came before it.
    pub sequence: Option<u64>,
    /// The transport's own id of the message, for logs.
    pub message_id: Option<Box<str>>,
    /// What came.
    pub event: Event,
}

/// What came from the far end.
#[derive(Debug)]
pub enum Event {
    /// A message.
    Message(Message),
    /// The transport learned after `send` that an exchange cannot end well; `None`: all of the route's. With
    /// [`ErrorKind::SessionGone`](crate::error::ErrorKind::SessionGone) the session ends too.
    ExchangeFailed(Option<WireId>, BackendError),
    /// The far end does not know this route's session any more.
    SessionGone(BackendError),
}

/// When the disposition of a message is known.
#[must_use = "a message is acknowledged by its disposition"]
pub enum Settlement {
    /// Now.
    Now(Disposition),
    /// Once a store has it; awaited off the receive loop.
    Later(BoxFuture<'static, Disposition>),
}

impl fmt::Debug for Settlement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(disposition) => formatter.debug_tuple("Now").field(disposition).finish(),
            Self::Later(_) => formatter.write_str("Later"),
        }
    }
}

/// What became of a received message, and so how the transport acknowledges it. Exhaustive on purpose: a new case must be
/// thought about in every backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a message is acknowledged by its disposition"]
pub enum Disposition {
    /// In the session's hands, or a duplicate of what was: acknowledge.
    Accepted,
    /// No memory for it now, though nobody's answer depends on that: give it back with a delay.
    Busy,
    /// Ours, but nothing waits for it any more: acknowledge and count.
    Unroutable,
    /// Another instance's, or a stranger's: leave it to its owner where there may be one.
    Foreign,
}

impl Disposition {
    /// The value of the `disposition` label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Busy => "busy",
            Self::Unroutable => "unroutable",
            Self::Foreign => "foreign",
        }
    }
}
