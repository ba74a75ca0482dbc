//! What our two ends tell each other beside a message, as compact JSON: the attribute `ProxyContext` of queues and topics, the
//! header `X-Proxy-Context` of webhooks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    backend::{Event, Inbound, Outbound, Peer, Remote},
    error::{BackendError, ErrorKind},
    id::{RemoteSession, RouteKey, WireId},
    message::Message,
};

/// What our two ends tell each other beside a message. Keys that are not known are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxyContext {
    /// The version of this format: 1.
    pub v: u32,
    /// From the proxy: where the answer goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<ReplyAddress>,
    /// From the proxy: Unix milliseconds past which the call is not started any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// From the worker, in the answer to initialize: the eras that it speaks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub eras: Vec<Box<str>>,
    /// From the worker: the wire id that a notification or server request belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<Box<str>>,
    /// From the worker: the message's number within its exchange, from 1; on the answer, how many came before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// From the worker, with an error answer: the session is not here any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// From the worker: the address that the session's later requests should go to. From a proxy that may not send there: the same, so
    /// that whoever gets the request can pass it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Box<str>>,
    /// From the proxy: the session ends here. The message beside it means nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub end: bool,
    /// From both: the bucket and prefix of the large payloads that this end reads (`bucket/prefix`), so that the other may send them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payloads: Option<Box<str>>,
    /// From a worker that passes a request on to its session's: how often it had been received, where that is more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receives: Option<u32>,
    /// On a message in a dead-letter queue: why it was put there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// From an instance to itself: the one whose poll this message ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake: Option<Box<str>>,
    /// From a proxy to itself, by the way that answers take: the instance that looks whether they would come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Box<str>>,
}

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplyAddress {
    /// The URL of an SQS queue.
    Sqs(Box<str>),
    /// The ARN of an SNS topic.
    Sns(Box<str>),
    /// The URL of a webhook.
    Url(Box<str>),
}

impl ProxyContext {
    /// The version of the format that this is.
    pub const VERSION: u32 = 1;

    /// The message that [`ProxyContext::end`] goes beside: a cancellation that names nothing, which a far end that does not know `end`
    /// ignores.
    pub const END: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}"#;

    /// What goes beside this message: `initialize` always carries it, and afterwards only what goes to a peer that answered with
    /// one of its own. `reply` says where answers go; `None` where they go on the response of their own request.
    pub fn beside<R: Into<Option<ReplyAddress>>>(
        outbound: &Outbound,
        reply: impl FnOnce() -> R,
    ) -> Option<Self> {
        let announced = outbound.remote.peer.as_deref().is_some_and(|peer| !peer.eras.is_empty());
        (announced || outbound.message.method() == Some("initialize")).then(|| Self {
            v: Self::VERSION,
            reply: reply().into(),
            deadline: Some(unix_millis(outbound.context.deadline)),
            // also where it goes there directly: then it says nothing new
            owner: outbound.remote.peer.as_deref().and_then(|peer| peer.owner.clone()),
            ..Self::default()
        })
    }

    /// What tells the far end that a session ends, beside [`ProxyContext::END`]; `None` for a peer that knows none of our extensions.
    pub fn ending(remote: &Remote) -> Option<Self> {
        let peer = remote.peer.as_deref().filter(|peer| !peer.eras.is_empty())?;
        Some(Self { v: Self::VERSION, owner: peer.owner.clone(), end: true, ..Self::default() })
    }

    /// Reads the text form; `None` for what is no context of this version.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|context: &Self| context.v == Self::VERSION)
    }

    /// The text form.
    pub fn to_json(&self) -> String {
        // strings, numbers and lists of them: serializing cannot fail
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the inbox takes: `message`, which came on `route` with this beside it, from a peer whose own session id is `session`.
    pub fn inbound(
        self,
        route: Option<RouteKey>,
        session: Option<RemoteSession>,
        message: Message,
        message_id: Option<&str>,
    ) -> Inbound {
        let said = session.is_some() || self.owner.is_some() || !self.eras.is_empty();
        let peer =
            said.then_some(Peer { session, owner: self.owner, eras: self.eras, payloads: self.payloads });
        let (route, event) = if self.gone {
            let text = said_why(&message).unwrap_or_else(|| {
                "the far end does not know this session any more: it was restarted, or it ended the session"
                    .to_owned()
            });
            let answered = || WireId::parse(message.id()?.as_string()?).ok();
            let route = route.or_else(|| answered().map(|wire| wire.route().clone()));
            (route, Event::SessionGone(BackendError::new(ErrorKind::SessionGone, "receive", text)))
        } else {
            (route, Event::Message(message))
        };
        Inbound {
            route,
            peer,
            related: self.related.and_then(|text| WireId::parse(&text).ok()),
            sequence: self.seq,
            message_id: message_id.map(Into::into),
            event,
        }
    }
}

/// What an error answer says happened.
fn said_why(message: &Message) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    let Message::Response(response) = message else { return None };
    Some(serde_json::from_str::<Said>(response.error_object()?).ok()?.message)
}

fn unix_millis(deadline: Instant) -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let at = since_epoch + deadline.saturating_duration_since(Instant::now());
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{backend::Context, id::InstanceId};

    fn outbound(peer: Peer) -> Outbound {
        Outbound {
            remote: Remote { route: RouteKey::random(&InstanceId::random()), peer: Some(Arc::new(peer)) },
            about: None,
            number: 1,
            context: Context { version: None, deadline: Instant::now() },
            message: Message::parse(r#"{"jsonrpc":"2.0","id":"1","method":"tools/list"}"#).unwrap(),
        }
    }

    #[test]
    fn what_a_peer_named_as_owner_goes_back_to_it_and_only_a_peer_that_announced_itself_is_told_more() {
        let reply = || ReplyAddress::Sqs("q".into());
        let owner = Some("https://sqs.eu-west-1.amazonaws.com/1/mcp-worker-x".into());
        let ours = outbound(Peer { owner: owner.clone(), eras: vec!["legacy".into()], ..Peer::default() });
        assert_eq!(ProxyContext::beside(&ours, reply).unwrap().owner, owner);
        let ending = ProxyContext::ending(&ours.remote).unwrap();
        assert!(ending.end && ending.owner == owner);
        let theirs = outbound(Peer::default());
        assert_eq!(ProxyContext::beside(&theirs, reply), None);
        assert_eq!(ProxyContext::ending(&theirs.remote), None);
        assert!(Message::parse(ProxyContext::END).is_ok());
    }

    #[test]
    fn a_session_that_is_gone_ends_with_what_its_answer_says() {
        let route = RouteKey::random(&InstanceId::random());
        let wire = WireId::new(route.clone(), 7);
        let gone = |error: &str| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":"{wire}","error":{error}}}"#);
            let context = ProxyContext::parse(r#"{"v":1,"gone":true}"#).unwrap();
            // the answer alone says which session it is
            let inbound = context.inbound(None, None, Message::parse(text).unwrap(), Some("m"));
            assert_eq!((inbound.route.as_ref(), inbound.message_id.as_deref()), (Some(&route), Some("m")));
            let Event::SessionGone(error) = inbound.event else { panic!("{:?}", inbound.event) };
            assert_eq!(error.kind(), ErrorKind::SessionGone);
            error.to_string()
        };
        let said = gone(r#"{"code":-32001,"message":"the worker was restarted: \"delete\" may have run"}"#);
        assert!(said.contains(r#"the worker was restarted: "delete" may have run"#), "{said}");
        let silent = gone(r#"{"code":-32001}"#);
        assert!(silent.contains("does not know this session any more"), "{silent}");
    }
}
