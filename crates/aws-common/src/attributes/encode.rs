//! From an outbound message to body and attributes.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proxy_core::{
    ProtocolVersion, ProxyContext, ReplyAddress,
    backend::{Outbound, Remote},
    config::refuse_problems,
    error::{BackendError, ErrorKind},
    message::Message,
};

use crate::large_payloads::LargePayloads;

use super::{
    Attribute, DataType, OutgoingMessage,
    group::{group_of, group_of_end},
    is_carried, is_fifo, is_refused, name, operator_problems,
};

/// What one process puts on each of its messages.
#[derive(Debug, Clone)]
pub struct Envelope {
    client_id: Box<str>,
    operator: BTreeMap<String, String>,
    fifo: bool,
    /// The large payloads that this process reads.
    payloads: Option<Box<str>>,
}

impl Envelope {
    /// The envelope of the client with this id, whose operator adds these attributes.
    ///
    /// # Errors
    /// `Config` when there are more attributes than the budget has room for, or one that AWS or the protocol refuses.
    pub fn new(client_id: &str, operator: &BTreeMap<String, String>) -> Result<Self, BackendError> {
        if !is_carried(client_id) {
            let message = "client_id is empty or holds a control character";
            return Err(BackendError::new(ErrorKind::Config, "start", message));
        }
        refuse_problems("start", &operator_problems(operator))?;
        Ok(Self { client_id: client_id.into(), operator: operator.clone(), fifo: false, payloads: None })
    }

    /// The same for a FIFO queue or topic, as the end of its name says: each message has its group.
    #[must_use]
    pub fn for_destination(mut self, url_or_arn: &str) -> Self {
        self.fifo = is_fifo(url_or_arn);
        self
    }

    /// The same for a process that reads these payloads, which it says to far ends that may know what that means.
    #[must_use]
    pub fn announcing(mut self, payloads: Option<&LargePayloads>) -> Self {
        self.payloads = payloads.map(|payloads| payloads.announces().into());
        self
    }

    /// Body and attributes of a message whose answer goes to `reply`. An attribute whose value AWS would refuse is left out: `Method` is a client's input.
    pub fn seal(&self, outbound: &Outbound, reply: &ReplyAddress) -> OutgoingMessage {
        let Outbound { remote, context, message, .. } = outbound;
        let handshake = message.method() == Some("initialize");
        let version = context.version.filter(|_| !handshake);
        let context = ProxyContext::beside(outbound, || reply.clone());
        let context = context.map(|context| ProxyContext { payloads: self.payloads.clone(), ..context });
        let attributes = self.attributes(message, remote, version, context);
        let group = self.fifo.then(|| group_of(outbound));
        OutgoingMessage { body: escaped(message.as_str()), attributes, group }
    }

    /// The word that a session ends; `None` for a far end that knows none of our extensions.
    pub fn seal_end(&self, remote: &Remote) -> Option<OutgoingMessage> {
        let context = ProxyContext::ending(remote)?;
        let message = Message::parse(ProxyContext::END).ok()?;
        let attributes = self.attributes(&message, remote, None, Some(context));
        let group = self.fifo.then(|| group_of_end(remote));
        Some(OutgoingMessage { body: ProxyContext::END.to_owned(), attributes, group })
    }

    fn attributes(
        &self,
        message: &Message,
        remote: &Remote,
        version: Option<ProtocolVersion>,
        context: Option<ProxyContext>,
    ) -> Vec<Attribute> {
        let mut attributes = Attributes::of(message);
        let session = remote.peer.as_deref().and_then(|peer| peer.session.as_ref());
        attributes.text(name::SESSION_ID, session.map_or(remote.route.as_str(), |session| session.as_str()));
        attributes.text(name::CLIENT_ID, &self.client_id);
        if let Some(version) = version {
            attributes.text(name::PROTOCOL_VERSION, version.as_str());
        }
        if let Some(context) = context {
            attributes.context(&context);
        }
        for (attribute, value) in &self.operator {
            attributes.text(attribute, value);
        }
        attributes.0
    }
}

pub(super) struct Attributes(pub(super) Vec<Attribute>);

impl Attributes {
    /// Those that every message has, whichever way it goes.
    pub(super) fn of(message: &Message) -> Self {
        let mut attributes = Self(Vec::with_capacity(10));
        attributes.text(name::MESSAGE_TYPE, "jsonrpc");
        attributes.push(name::TIMESTAMP, DataType::Number, since_epoch().as_secs().to_string());
        if let Message::Request(request) = message {
            attributes.text(name::REQUEST_ID, request.id().as_text());
        }
        if let Some(method) = message.method() {
            attributes.text(name::METHOD, method);
        }
        attributes
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        if is_carried(value) {
            self.push(name, DataType::String, value.to_owned());
        }
    }

    pub(super) fn context(&mut self, context: &ProxyContext) {
        self.push(name::PROXY_CONTEXT, DataType::String, context_text(context));
    }

    pub(super) fn push(&mut self, name: &str, data_type: DataType, value: String) {
        self.0.push(Attribute { name: name.into(), data_type, value });
    }
}

/// The value of the attribute `ProxyContext`: what a peer wrote in a context may come out of its JSON as what AWS refuses.
pub(crate) fn context_text(context: &ProxyContext) -> String {
    escaped(&context.to_json())
}

/// The same JSON without the characters that AWS refuses in a body: outside of strings they could not stand.
pub(super) fn escaped(json: &str) -> String {
    if json.contains(is_refused) {
        json.replace('\u{FFFE}', "\\uFFFE").replace('\u{FFFF}', "\\uFFFF")
    } else {
        json.to_owned()
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
