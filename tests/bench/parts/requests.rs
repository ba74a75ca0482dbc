//! What a bare loop sends: sessions that are named as a proxy names them, and requests as large as the load generator's.

use serde::{Deserialize, Serialize};

/// The end of the handshake.
pub(super) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// What the names of all sessions begin with.
pub(super) const SESSIONS: &str = "bareloopbareloopbarelo.bareloopbareloopbare";

/// As many sessions as a load has connections at most.
pub(super) const SESSION_COUNT: usize = 32;

/// What the far end is asked. It takes and gives the same texts either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// `tools/call`, which must not run twice.
    Call,
    /// `prompts/get`, which may, so that a worker writes nothing down.
    Prompt,
}

impl Kind {
    /// Its method.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Call => "tools/call",
            Self::Prompt => "prompts/get",
        }
    }

    /// The request with this id and number.
    pub(super) fn request(self, id: &str, number: u64) -> String {
        let (method, text) = (self.method(), text_of(number));
        format!(
            r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{{"name":"echo","arguments":{{"text":"{text}"}}}}}}"#
        )
    }
}

/// The text of the request with this number.
pub(super) fn text_of(number: u64) -> String {
    format!("the text of a call of the tool echo, number {number:020}")
}

/// The `initialize` with this id; `reply_to` is the member of `params` that says where answers go.
pub(super) fn initialize(id: &str, reply_to: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"{id}","method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"bare-loop","version":"1"}},{reply_to}}}}}"#
    )
}

/// The name of a session by its number, as long as a route key.
pub(super) fn session(number: usize) -> String {
    format!("{SESSIONS}{:02}", number % SESSION_COUNT)
}
