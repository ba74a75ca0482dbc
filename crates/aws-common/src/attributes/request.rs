//! From a received body and its attributes to what the desk takes.

use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_sqs::types::{self, MessageSystemAttributeName};
use proxy_core::{
    ProxyContext, ReplyAddress,
    id::RemoteSession,
    intake::{Arrival, ArrivalEvent, Delivery, ReplyTo},
    message::{InvalidParams, Message, Request},
};

use super::{Malformed, name};
use crate::polling::number;

/// A request that was received, understood.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every message is the large one")]
pub enum ReceivedRequest {
    /// For the desk.
    Arrival(Arrival),
    /// An instance's message to itself, which ends its poll or looks for others: the instance id.
    Own(Box<str>),
}

/// Where `initialize` says where answers go, in the words of asyncmcp's clients.
#[derive(Debug, Clone, Copy)]
pub struct ReplyMembers {
    /// The member of `params` in which 0.2.1 says it.
    pub param: &'static str,
    /// The member of `params._meta` in which its main branch says it.
    pub meta: &'static str,
    /// What kind of address that is.
    pub address: fn(Box<str>) -> ReplyAddress,
}

/// What asyncmcp's SQS clients say.
const QUEUE_URL: ReplyMembers =
    ReplyMembers { param: "response_queue_url", meta: "responseQueueUrl", address: ReplyAddress::Sqs };

/// Reads a message of a queue that clients write to directly.
///
/// # Errors
/// When the body is no JSON-RPC message. Attributes that cannot be read are taken for absent.
pub fn decode_request(message: &types::Message) -> Result<ReceivedRequest, Malformed> {
    let attribute = |name: &str| message.message_attributes()?.get(name)?.string_value();
    decode_request_parts(message.body(), attribute, &QUEUE_URL, delivery_of(message))
}

/// Reads a message from its parts, wherever they stood.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_request_parts<'message>(
    body: Option<&str>,
    attribute: impl Fn(&str) -> Option<&'message str>,
    members: &ReplyMembers,
    mut delivery: Delivery,
) -> Result<ReceivedRequest, Malformed> {
    let mut context = attribute(name::PROXY_CONTEXT).and_then(ProxyContext::parse);
    if let Some(context) = &mut context
        && let Some(instance) = context.wake.take().or_else(|| context.probe.take())
    {
        return Ok(ReceivedRequest::Own(instance));
    }
    if let Some(before) = context.as_mut().and_then(|context| context.receives.take()) {
        delivery.receive_count = delivery.receive_count.saturating_add(before.saturating_sub(1));
    }
    let body = body.ok_or(Malformed::without_body())?;
    let (event, named) = if context.as_ref().is_some_and(|context| context.end) {
        (ArrivalEvent::End, None)
    } else {
        let parsed = Message::parse(body).map_err(Malformed::from)?;
        let (message, named) = reply_taken_out(parsed, members);
        (ArrivalEvent::Message(message), named)
    };
    let said = || context.as_ref().and_then(|context| context.reply.clone());
    Ok(ReceivedRequest::Arrival(Arrival {
        session: attribute(name::SESSION_ID).and_then(|text| RemoteSession::parse(text).ok()),
        client_id: attribute(name::CLIENT_ID).map(Into::into),
        version: attribute(name::PROTOCOL_VERSION).map(Into::into),
        reply: named.or_else(said).map(ReplyTo::Address),
        context,
        delivery,
        event,
    }))
}

/// How SQS delivered a message, by a queue that others may read.
pub fn delivery_of(message: &types::Message) -> Delivery {
    let received = number(message, &MessageSystemAttributeName::ApproximateReceiveCount);
    let sent = number(message, &MessageSystemAttributeName::SentTimestamp);
    Delivery {
        message_id: message.message_id().map(Into::into),
        receive_count: u32::try_from(received).unwrap_or(u32::MAX).max(1),
        sent: UNIX_EPOCH + Duration::from_millis(sent),
        to_owner: false,
    }
}

/// Takes out of `initialize` where its answer goes; nothing else may name an address in its body.
fn reply_taken_out(message: Message, members: &ReplyMembers) -> (Message, Option<ReplyAddress>) {
    let Message::Request(request) = message else { return (message, None) };
    if request.method() != "initialize" {
        return (request.into(), None);
    }
    let named = request.param_text(members.param).or_else(|| request.meta_text(members.meta));
    let taken_out = |request: Request| -> Result<Request, InvalidParams> {
        request.without_param(members.param)?.without_meta(members.meta)
    };
    let address = named.map(|named| (members.address)(named.into()));
    // parameters that cannot be read are refused by whoever reads them
    (taken_out(request.clone()).unwrap_or(request).into(), address)
}
