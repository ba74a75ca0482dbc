//! What a ledger knows: of a call, and of a session.

use std::{fmt, time::SystemTime};

use proxy_core::{ReplyAddress, id::RemoteSession, message::RequestId};

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
}
