//! Received messages whose payloads are in S3.

use std::time::Duration;

use aws_sdk_sqs::types::Message;
use futures_util::future::join_all;
use proxy_core::{
    error::{BackendError, ErrorKind},
    id::{InstanceId, RouteKey},
};
use tokio::time::timeout;

use super::{LargePayloads, PayloadError, Pointer, restore};
use crate::attributes::name;

/// Takes a claim check out of what a topic wrapped around it: the message as it would have come without. `None` where there is nothing
/// of the kind.
pub type Unwrap = fn(&Message) -> Option<Message>;

/// Reads the payloads of one queue's messages.
#[derive(Debug, Clone, Default)]
pub struct PayloadReader {
    payloads: Option<LargePayloads>,
    by_topic: Option<Unwrap>,
    reader: Option<InstanceId>,
}

/// A received message.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The message; one whose payload was read, with that in its place.
    pub(crate) message: Message,
    /// What became of its payload, where it has one.
    pub(crate) payload: Option<Payload>,
}

/// What became of a payload.
#[derive(Debug)]
pub(crate) enum Payload {
    /// It was read.
    Restored {
        /// The message as it came.
        as_it_came: Box<Message>,
        /// What is to be deleted once the message is; `None` where others may have a copy of the message.
        pointer: Option<Pointer>,
    },
    /// It can never be read.
    Malformed(Box<str>),
    /// It may be read later.
    Failed(BackendError),
    /// It was not read: the message is another instance's.
    Others,
}

impl Arrived {
    /// The message as it came, and what is to be deleted with it.
    pub(crate) fn into_as_it_came(self) -> (Message, Option<Pointer>) {
        match self.payload {
            Some(Payload::Restored { as_it_came, pointer }) => (*as_it_came, pointer),
            None | Some(Payload::Malformed(_) | Payload::Failed(_) | Payload::Others) => (self.message, None),
        }
    }
}

impl PayloadReader {
    /// Reads these payloads; without any, a message that points to one is refused with a reason.
    pub fn new(payloads: Option<LargePayloads>) -> Self {
        Self { payloads, by_topic: None, reader: None }
    }

    /// The queue's messages came by way of a topic, whose other subscribers may have copies of them: no payload is deleted.
    #[must_use]
    pub fn by_topic(mut self, unwrap: Unwrap) -> Self {
        self.by_topic = Some(unwrap);
        self
    }

    /// Other proxies may read the queue too: of messages that name a session, only those of this one's are looked into.
    #[must_use]
    pub(crate) fn only_of(mut self, instance: InstanceId) -> Self {
        self.reader = Some(instance);
        self
    }

    /// Where they are.
    pub(crate) fn payloads(&self) -> Option<&LargePayloads> {
        self.payloads.as_ref()
    }

    /// The same messages in the same order, each with its payload in its place. Takes no longer than `time`.
    pub(crate) async fn read(&self, messages: Vec<Message>, time: Duration) -> Vec<Arrived> {
        join_all(messages.into_iter().map(|message| self.read_one(message, time))).await
    }

    async fn read_one(&self, message: Message, time: Duration) -> Arrived {
        let mut unwrapped = self.by_topic.and_then(|unwrap| unwrap(&message));
        let check = unwrapped.as_ref().unwrap_or(&message);
        if check.body().and_then(Pointer::parse).is_none() {
            return Arrived { message, payload: None };
        }
        if self.reader.as_ref().is_some_and(|reader| is_others(check, reader)) {
            return Arrived { message, payload: Some(Payload::Others) };
        }
        let body = check.body().unwrap_or_default();
        let read = timeout(time, restore(self.payloads.as_ref(), body)).await;
        match read {
            Ok(Ok(Some(restored))) => {
                let mut whole = unwrapped.take().unwrap_or_else(|| message.clone());
                whole.body = Some(restored.body);
                let pointer = self.by_topic.is_none().then_some(restored.pointer);
                let as_it_came = Box::new(message);
                Arrived { message: whole, payload: Some(Payload::Restored { as_it_came, pointer }) }
            }
            Ok(Ok(None)) => Arrived { message, payload: None },
            Ok(Err(PayloadError::Malformed(reason))) => {
                Arrived { message, payload: Some(Payload::Malformed(reason)) }
            }
            Ok(Err(PayloadError::Failed(error))) => {
                Arrived { message, payload: Some(Payload::Failed(error)) }
            }
            Err(_) => {
                let text = format!("a payload could not be read within {} s", time.as_secs_f32());
                let error = BackendError::new(ErrorKind::Unavailable, "receive", text);
                Arrived { message, payload: Some(Payload::Failed(error)) }
            }
        }
    }
}

/// Whether its envelope names another instance's session.
fn is_others(message: &Message, instance: &InstanceId) -> bool {
    let session = || message.message_attributes()?.get(name::SESSION_ID)?.string_value();
    session()
        .and_then(|session| RouteKey::parse(session).ok())
        .is_some_and(|route| !route.belongs_to(instance))
}
