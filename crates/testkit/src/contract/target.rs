//! What a backend's own tests have to bring.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use proxy_core::{
    backend::{Backend, Inbox},
    id::{InstanceId, RouteKey, WireId},
};

/// Builds what the rules are tried on.
#[async_trait]
pub trait ContractTarget: Send + Sync {
    /// A backend over a fresh transport that delivers into this inbox, and the transport's other side. [`Backend::run`] is not
    /// called yet.
    async fn connect(&self, inbox: Arc<dyn Inbox>, instance: InstanceId) -> Connection;

    /// Whether others read the same return path, so that a foreign message is left there. Default `true`; `false` where each
    /// reader has copies of its own.
    fn return_path_is_shared(&self) -> bool {
        true
    }

    /// Whether the return path is the session's own, as a callback URL is: what names no route of this instance is refused there, and
    /// never reaches the inbox. Default `false`.
    fn return_path_names_the_route(&self) -> bool {
        false
    }

    /// The largest message in bytes that both ways carry, where that is less than the backend's limit or the other side is the one
    /// that takes no more. Default 1 MiB; never more than the backend's own limit is tried.
    fn largest_message(&self) -> usize {
        1024 * 1024
    }
}

/// A backend, and the transport's other side.
pub struct Connection {
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// The other side.
    pub far_side: Box<dyn FarSide>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// The far end of a transport, without an MCP server.
#[async_trait]
pub trait FarSide: Send {
    /// Waits for the next message that was sent, and takes it.
    async fn receive(&mut self) -> Carried;

    /// Puts something on the return path, where it then waits to be received, or was refused as the transport refuses it.
    async fn put(&mut self, returned: Returned);

    /// How many messages on the return path are not acknowledged, those that are hidden for a while included.
    async fn unacknowledged(&mut self) -> usize;

    /// Puts a message on this route's return path in an envelope that names another session id, one of the far end's own. `false`
    /// where that cannot be done. Only asked of a return path that names the route; on others the envelope is the id alone.
    async fn put_as(&mut self, _route: &RouteKey, _session: &str, _body: &str) -> bool {
        false
    }

    /// Lets receipts, or response heads, name this session id from now on. `false` where the transport has none.
    async fn name_in_receipts(&mut self, _session: &str) -> bool {
        false
    }

    /// The sessions of which this side was told that they have ended, in the order in which it was told; `None` where the transport
    /// cannot tell.
    async fn told_ended(&mut self) -> Option<Vec<String>> {
        None
    }

    /// Takes the transport down: from now on nothing can be sent, and every attempt certainly sends nothing. `false` where that
    /// cannot be done.
    async fn go_down(&mut self) -> bool {
        false
    }
}

/// A message as it came out of the transport at the far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The session that the envelope names.
    pub route: Option<String>,
    /// The revision that the envelope names.
    pub version: Option<String>,
    /// The JSON text.
    pub body: String,
}

/// A message for the return path, as the far end writes it.
#[derive(Debug, Clone, Default)]
pub struct Returned {
    /// The session that the envelope names.
    pub route: Option<String>,
    /// The request that it belongs to, for transports that carry what the worker adds.
    pub related: Option<WireId>,
    /// Its number, for the same.
    pub sequence: Option<u64>,
    /// What should be a JSON text.
    pub body: String,
}
