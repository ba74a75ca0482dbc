//! One session: how it is found, and what may be put into its mail.

mod exchange;
mod host;
mod memory;

use std::{sync::Arc, time::SystemTime};

use futures_util::future::BoxFuture;
use proxy_core::{
    ProxyContext,
    id::RemoteSession,
    intake::{Delivery, ReplyTo, Settled},
    message::{Notification, Request, Response},
};
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::host::{Host, Opening};
use crate::{
    courier::Courier,
    hints::Hints,
    ledger::{Begun, CallKey, LedgerError},
};

/// How many messages of one session may wait for it. It waits only for the ledger, so more means that the ledger is stuck.
const MAX_MAIL: usize = 256;

/// A session, as the desk sees it.
#[derive(Debug)]
pub(crate) struct Session {
    /// What clients call it.
    pub(crate) id: RemoteSession,
    /// The client that opened it, where it named itself.
    client_id: Option<Box<str>>,
    /// The transport's id of the message that opened it.
    pub(crate) opened_by: Option<Box<str>>,
    /// Tells this life of the session id from another one.
    pub(crate) incarnation: u64,
    /// The way to the client.
    pub(crate) courier: Courier,
    /// What its server declared.
    pub(crate) hints: Hints,
    mail: mpsc::Sender<Mail>,
}

/// What the desk hands to a session, in order.
#[derive(Debug)]
pub(crate) enum Mail {
    /// A request, and who hears what became of it.
    Request(Box<Incoming>, oneshot::Sender<Settled>),
    Notification(Notification),
    Response(Response),
    /// The client ended the session.
    End,
}

/// A request that was delivered.
pub(crate) struct Incoming {
    pub(crate) request: Request,
    /// Set for calls: the write that has to come before it runs.
    pub(crate) call: Option<PendingCall>,
    /// Where it wants its answer.
    pub(crate) place: Option<ReplyTo>,
    pub(crate) context: Option<ProxyContext>,
    pub(crate) delivery: Delivery,
}

/// A call on its way into the ledger.
pub(crate) struct PendingCall {
    pub(crate) key: CallKey,
    pub(crate) begun: BoxFuture<'static, Result<Begun, LedgerError>>,
}

/// Room for one message in a session's mail.
pub(crate) type Room<'session> = mpsc::Permit<'session, Mail>;

/// Why a session takes no mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// Too much waits.
    Full,
    /// It has ended.
    Ended,
}

impl Session {
    /// A session, and the other end of its mail.
    pub(crate) fn new(
        id: RemoteSession,
        client_id: Option<Box<str>>,
        opened_by: Option<Box<str>>,
        courier: Courier,
    ) -> (Arc<Self>, mpsc::Receiver<Mail>) {
        let (mail, received) = mpsc::channel(MAX_MAIL);
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let incarnation = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
        let hints = Hints::default();
        (Arc::new(Self { id, client_id, opened_by, incarnation, courier, hints, mail }), received)
    }

    /// Whether a message with this client id can be its client's.
    pub(crate) fn is_of(&self, client_id: Option<&str>) -> bool {
        is_client(self.client_id.as_deref(), client_id)
    }

    /// Room for one message. Whoever has it puts the message in before the next is asked for, so their order holds.
    pub(crate) fn room(&self) -> Result<Room<'_>, NoRoom> {
        self.mail.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => NoRoom::Full,
            mpsc::error::TrySendError::Closed(()) => NoRoom::Ended,
        })
    }
}

/// Whether a message that names this client can be from the one that a session was opened by. A client that named itself then does so
/// in every message (docs/WIRE.md, `ClientId`).
pub(crate) fn is_client(own: Option<&str>, named: Option<&str>) -> bool {
    own.is_none_or(|own| named == Some(own))
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Incoming")
            .field("request", &self.request)
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}
