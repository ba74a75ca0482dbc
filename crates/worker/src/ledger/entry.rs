//! What a ledger knows: of a call, and of a session.

use std::{fmt, time::SystemTime};

use proxy_core::{
    ReplyAddress,
    id::RemoteSession,
    message::{Message, RequestId},
};

/// Names a call: by its session and the id of its JSON-RPC request, which a client must not use again in it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(Box<[u8]>);

impl CallKey {
    /// The key of this request of this session.
    pub fn new(session: &RemoteSession, id: &RequestId) -> Self {
        // no session id has a zero byte
        let mut key = session.as_str().as_bytes().to_vec();
        key.push(0);
        key.extend_from_slice(id.to_json().as_bytes());
        Self(key.into())
    }

    /// What it names. `None` for what was made by no [`new`](Self::new), as in a damaged file.
    pub(crate) fn parts(&self) -> Option<(RemoteSession, RequestId)> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let (session, id) =
            (std::str::from_utf8(&self.0[..end]).ok()?, std::str::from_utf8(&self.0[end + 1..]).ok()?);
        let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let Ok(Message::Request(request)) = Message::parse(request) else { return None };
        Some((RemoteSession::parse(session).ok()?, request.id().clone()))
    }

    pub(super) fn of_bytes(key: &[u8]) -> Self {
        Self(key.into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CallKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.iter().take(6).map(|&byte| char::from(byte)).collect();
        write!(formatter, "CallKey({shown}…)")
    }
}

/// Whether a call is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is, and is written down as started.
    New,
    /// It was begun before; nothing has changed.
    Known(Entry),
}

/// What is known of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How far it has come.
    pub state: EntryState,
    /// The transport's id of the message that brought it.
    pub message_id: Option<Box<str>>,
    /// Which session of this name it belonged to.
    pub incarnation: u64,
    /// When it was begun.
    pub begun_at: SystemTime,
}

/// How far a call has come.
#[derive(Clone, PartialEq, Eq)]
pub enum EntryState {
    /// It was begun: it runs, or it ran as far as a process that is no more got with it.
    Started,
    /// This is its answer, which may not have been sent.
    Answered(Box<str>),
    /// Its answer was sent, or was too long to be kept at all. `None`: the answer is not kept any more.
    Sent(Option<Box<str>>),
}

impl fmt::Debug for EntryState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => formatter.write_str("Started"),
            Self::Answered(answer) => write!(formatter, "Answered({} bytes)", answer.len()),
            Self::Sent(answer) => {
                write!(formatter, "Sent({:?} bytes)", answer.as_ref().map(|text| text.len()))
            }
        }
    }
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Where its messages go.
    pub reply: ReplyAddress,
    /// The client that it belongs to, as its envelopes name it.
    pub client_id: Option<Box<str>>,
    /// Whether its client understands what our own proxy does.
    pub knows_context: bool,
    /// The large payloads that its client announced that it reads.
    pub payloads: Option<Box<str>>,
    /// Which session of this name it is, as its calls say. 0, which no call says: it was remembered before that was written down.
    pub incarnation: u64,
}

/// A call that a process before this one had begun, and of which it is not known that its client heard what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftBehind {
    pub(crate) key: CallKey,
    /// Which session of its name it belonged to: tells it from a later call under the same key.
    pub(crate) incarnation: u64,
    /// Its answer was there, and may not have been sent.
    pub(crate) is_answered: bool,
}

/// Some of the calls that were left behind, in the order in which they were begun.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Page {
    pub(crate) calls: Vec<LeftBehind>,
    /// Where the page with what was begun before these ends; `None` where there is none.
    pub(super) before: Option<u64>,
}
