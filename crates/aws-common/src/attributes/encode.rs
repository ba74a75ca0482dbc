//! From an outbound message to body and attributes.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proxy_core::{
    backend::Outbound,
    error::{BackendError, ErrorKind},
    message::Message,
};
use tokio::time::Instant;

use super::{Attribute, DataType, OutgoingMessage, ProxyContext, ReplyAddress, name};

/// How many attributes an operator may add to every message.
pub const OPERATOR_ATTRIBUTES: usize = 1;

/// What one process puts on each of its messages.
#[derive(Debug, Clone)]
pub struct Envelope {
    client_id: Box<str>,
    reply: ReplyAddress,
    operator: BTreeMap<String, String>,
}

impl Envelope {
    /// The envelope of the client with this id, whose answers go to `reply` and whose operator adds these attributes.
    ///
    /// # Errors
    /// `Config` when there are more attributes than the budget has room for, or one that AWS or the protocol refuses.
    pub fn new(
        client_id: &str,
        reply: ReplyAddress,
        operator: &BTreeMap<String, String>,
    ) -> Result<Self, BackendError> {
        let refuse = |message: String| Err(BackendError::new(ErrorKind::Config, "start", message));
        if !is_carried(client_id) {
            return refuse("`client_id` is empty or holds a control character".into());
        }
        if operator.len() > OPERATOR_ATTRIBUTES {
            return refuse(format!(
                "`message_attributes` has {} entries, but a message has room for {OPERATOR_ATTRIBUTES} beside the protocol's own",
                operator.len()
            ));
        }
        for (attribute, value) in operator {
            if name::RESERVED.contains(&attribute.as_str()) {
                return refuse(format!(
                    "`message_attributes` names {attribute}, which the protocol uses itself"
                ));
            }
            if !is_attribute_name(attribute) {
                return refuse(format!("`message_attributes` has a name that AWS refuses: {attribute:?}"));
            }
            if !is_carried(value) {
                return refuse(format!(
                    "`message_attributes.{attribute}` is empty or holds a control character"
                ));
            }
        }
        Ok(Self { client_id: client_id.into(), reply, operator: operator.clone() })
    }

    /// Body and attributes of a message. An attribute whose value AWS would refuse is left out: `Method` is a client's input.
    pub fn seal(&self, outbound: &Outbound) -> OutgoingMessage {
        let Outbound { remote, context, message, .. } = outbound;
        let handshake = message.method() == Some("initialize");
        let mut attributes = Attributes(Vec::with_capacity(10));
        attributes.text(name::MESSAGE_TYPE, "jsonrpc");
        attributes.push(name::TIMESTAMP, DataType::Number, since_epoch().as_secs().to_string());
        if let Message::Request(request) = message {
            attributes.text(name::REQUEST_ID, request.id().as_text());
        }
        if let Some(method) = message.method() {
            attributes.text(name::METHOD, method);
        }
        let peer = remote.peer.as_deref();
        let session = peer.and_then(|peer| peer.session.as_ref());
        attributes.text(name::SESSION_ID, session.map_or(remote.route.as_str(), |session| session.as_str()));
        attributes.text(name::CLIENT_ID, &self.client_id);
        if let Some(version) = context.version.filter(|_| !handshake) {
            attributes.text(name::PROTOCOL_VERSION, version.as_str());
        }
        if handshake || peer.is_some_and(|peer| !peer.eras.is_empty()) {
            let context = ProxyContext {
                v: ProxyContext::VERSION,
                reply: Some(self.reply.clone()),
                deadline: Some(unix_millis(context.deadline)),
                ..ProxyContext::default()
            };
            attributes.push(name::PROXY_CONTEXT, DataType::String, context.to_json());
        }
        for (attribute, value) in &self.operator {
            attributes.text(attribute, value);
        }
        OutgoingMessage { body: escaped(message.as_str()), attributes: attributes.0 }
    }
}

struct Attributes(Vec<Attribute>);

impl Attributes {
    fn text(&mut self, name: &str, value: &str) {
        if is_carried(value) {
            self.push(name, DataType::String, value.to_owned());
        }
    }

    fn push(&mut self, name: &str, data_type: DataType, value: String) {
        self.0.push(Attribute { name: name.into(), data_type, value });
    }
}

/// Whether AWS carries this attribute value: not empty, no control characters, no noncharacters of its list.
fn is_carried(value: &str) -> bool {
    !value.is_empty() && !value.contains(|character: char| character.is_control() || is_refused(character))
}

/// Whether AWS refuses this character even in a body (SQS API, `SendMessage`; control characters cannot stand in JSON).
fn is_refused(character: char) -> bool {
    matches!(character, '\u{FFFE}' | '\u{FFFF}')
}

/// Whether AWS takes this as an attribute's name (SQS developer guide, message metadata).
fn is_attribute_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    (1..=256).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
}

/// The same JSON without the characters that AWS refuses in a body: outside of strings they could not stand.
fn escaped(json: &str) -> String {
    if json.contains(is_refused) {
        json.replace('\u{FFFE}', "\\uFFFE").replace('\u{FFFF}', "\\uFFFF")
    } else {
        json.to_owned()
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn unix_millis(deadline: Instant) -> u64 {
    let at = since_epoch() + deadline.saturating_duration_since(Instant::now());
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}
