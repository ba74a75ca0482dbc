//! From a worker's message to body and attributes: a reply, and a request that is passed on to another worker.

use proxy_core::{
    ProxyContext,
    id::{InstanceId, RemoteSession, RouteKey},
    intake::{Arrival, ArrivalEvent, Reply, ReplyTo},
    message::Message,
};

use super::{
    Group, OutgoingMessage,
    encode::{Attributes, escaped},
    is_fifo, name,
};
use crate::large_payloads::LargePayloads;

/// The longest id of a group (AWS, `MessageGroupId`).
const LONGEST_GROUP: usize = 128;

/// The group of messages without a session.
const NO_SESSION: &str = "no-session";

/// Body and attributes of a reply that goes to the queue or topic with this URL or ARN. Beside the one with which the worker announces
/// itself, it says which large payloads it reads.
pub fn seal_reply(reply: &Reply, destination: &str, payloads: Option<&LargePayloads>) -> OutgoingMessage {
    let mut attributes = Attributes::of(&reply.message);
    let session = reply.session.as_ref().map(RemoteSession::as_str);
    if let Some(session) = session {
        attributes.text(name::SESSION_ID, session);
    }
    if let Some(context) = &reply.context {
        let announces = payloads.filter(|_| !context.eras.is_empty());
        let payloads = announces.map(|payloads| payloads.announces().into());
        let context = ProxyContext { payloads, ..context.clone() };
        attributes.context(&context);
    }
    finished(reply.message.as_str(), attributes, session, destination)
}

/// Body and attributes of what arrived, as it goes on to the worker that reads the queue with this URL.
pub fn seal_forwarded(arrival: &Arrival, destination: &str) -> OutgoingMessage {
    let ended = ProxyContext::END;
    let (mut attributes, body) = match &arrival.event {
        ArrivalEvent::Message(message) => (Attributes::of(message), message.as_str()),
        ArrivalEvent::End => {
            (Message::parse(ended).map_or(Attributes(Vec::new()), |message| Attributes::of(&message)), ended)
        }
    };
    let session = arrival.session.as_ref().map(RemoteSession::as_str);
    for (name, value) in [
        (name::SESSION_ID, session),
        (name::CLIENT_ID, arrival.client_id.as_deref()),
        (name::PROTOCOL_VERSION, arrival.version.as_deref()),
    ] {
        if let Some(value) = value {
            attributes.text(name, value);
        }
    }
    if let Some(context) = context_of(arrival) {
        attributes.context(&context);
    }
    finished(body, attributes, session, destination)
}

/// What it came with, and what was taken out of it: where its answer goes, that it is an end, and how often it was received.
fn context_of(arrival: &Arrival) -> Option<ProxyContext> {
    let ends = matches!(arrival.event, ArrivalEvent::End);
    let reply = match &arrival.reply {
        Some(ReplyTo::Address(address)) => Some(address.clone()),
        Some(ReplyTo::Response(_)) | None => None,
    };
    let receives = Some(arrival.delivery.receive_count).filter(|receives| *receives > 1);
    if arrival.context.is_none() && reply.is_none() && receives.is_none() && !ends {
        return None;
    }
    let mut context = arrival.context.clone().unwrap_or_default();
    context.v = ProxyContext::VERSION;
    context.reply = context.reply.or(reply);
    context.end |= ends;
    context.receives = receives;
    Some(context)
}

fn finished(body: &str, attributes: Attributes, session: Option<&str>, destination: &str) -> OutgoingMessage {
    let group = is_fifo(destination).then(|| Group {
        id: group_id(session).into(),
        // one that no other message ever has
        deduplication_id: RouteKey::random(&InstanceId::random()).as_str().into(),
    });
    OutgoingMessage { body: escaped(body), attributes: attributes.0, group }
}

/// A session's messages stay in order.
fn group_id(session: Option<&str>) -> &str {
    let session = session.unwrap_or(NO_SESSION);
    session.get(..LONGEST_GROUP).unwrap_or(session)
}
