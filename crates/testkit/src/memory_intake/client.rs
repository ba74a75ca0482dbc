//! A client of a worker, without a proxy and without a transport.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proxy_core::{ProxyContext, ReplyAddress};
use tokio::sync::mpsc;

use super::MemoryTransport;
use crate::intake_contract::{Envelope, Received};

/// The revision that a client speaks.
const VERSION: &str = "2025-11-25";

/// How long our own proxy waits for an answer.
const TIMEOUT: Duration = Duration::from_mins(5);

/// A client of a worker, with an address of its own. Dropping it makes the address vanish.
#[derive(Debug)]
pub struct MemoryClient {
    transport: MemoryTransport,
    address: ReplyAddress,
    received: mpsc::Receiver<Received>,
    is_proxy: bool,
    /// The address that its requests go to, once it was told one.
    owner: Option<String>,
}

impl MemoryClient {
    pub(super) fn new(
        transport: MemoryTransport,
        (address, received): (ReplyAddress, mpsc::Receiver<Received>),
        is_proxy: bool,
    ) -> Self {
        Self { transport, address, received, is_proxy, owner: None }
    }

    /// Where its answers go.
    pub fn address(&self) -> &ReplyAddress {
        &self.address
    }

    /// Sends what follows to this worker alone, as our own proxy does once it was told.
    pub fn go_to(&mut self, owner: &str) {
        self.owner = Some(owner.to_owned());
    }

    /// What it puts around a message: the session, the reply address of an `initialize`, and, as our own proxy, what it says beside it.
    pub fn envelope(&self, session: Option<&str>, body: impl Into<String>) -> Envelope {
        Envelope {
            owner: self.owner.clone(),
            session: session.map(str::to_owned),
            client_id: Some("memory".to_owned()),
            version: Some(VERSION.to_owned()),
            reply: None,
            context: self.is_proxy.then(|| self.context().to_json()),
            body: body.into(),
        }
    }

    /// What our own proxy says beside every message.
    pub fn context(&self) -> ProxyContext {
        ProxyContext {
            v: ProxyContext::VERSION,
            reply: Some(self.address.clone()),
            deadline: Some(unix_millis(SystemTime::now() + TIMEOUT)),
            ..ProxyContext::default()
        }
    }

    /// Sends a message of a session.
    pub fn send(&self, session: Option<&str>, body: impl Into<String>) {
        self.transport.put(self.envelope(session, body));
    }

    /// Sends an `initialize` under this JSON-RPC id that proposes this session.
    pub fn initialize(&self, proposed: Option<&str>, id: &str) {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"{id}","method":"initialize","params":{{"protocolVersion":"{VERSION}","capabilities":{{}},"clientInfo":{{"name":"memory","version":"1"}}}}}}"#
        );
        let reply = Some(self.address.clone());
        self.transport.put(Envelope { reply, ..self.envelope(proposed, body) });
    }

    /// Says that it is initialized.
    pub fn initialized(&self, session: &str) {
        self.send(Some(session), r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    }

    /// Sends a request under this JSON-RPC id; `params` is a JSON text.
    pub fn request(&self, session: &str, id: &str, method: &str, params: &str) {
        self.send(
            Some(session),
            format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{params}}}"#),
        );
    }

    /// Says that the session ends, as our own proxy does.
    pub fn end(&self, session: &str) {
        let context = ProxyContext { end: true, ..self.context() };
        self.transport.put(Envelope {
            context: Some(context.to_json()),
            ..self.envelope(Some(session), ProxyContext::END)
        });
    }

    /// Waits for the next message that came back; `None` once the transport is gone.
    pub async fn receive(&mut self) -> Option<Received> {
        self.received.recv().await
    }

    /// The next message that came back, if it is there already.
    pub fn try_receive(&mut self) -> Option<Received> {
        self.received.try_recv().ok()
    }
}

fn unix_millis(at: SystemTime) -> u64 {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
