//! What the server sends in the course of one request.

use proxy_core::{backend::Event, id::RouteKey, message::Message};

use crate::memory::{ReturnPath, inbound};

/// The way back of one request.
#[derive(Debug)]
pub(super) struct Answers {
    return_path: ReturnPath,
    route: RouteKey,
    /// The JSON text of the request's id.
    id: String,
}

impl Answers {
    pub(super) fn new(return_path: ReturnPath, route: RouteKey, id: String) -> Self {
        Self { return_path, route, id }
    }

    /// Answers with this result, a JSON text.
    pub(super) fn result(&self, result: &str) {
        self.send(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, self.id));
    }

    /// Answers with the result of a tool: one text, given as a JSON text.
    pub(super) fn text(&self, json: &str) {
        self.send(format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[{{"type":"text","text":{json}}}]}}}}"#,
            self.id
        ));
    }

    /// Answers with an error.
    pub(super) fn error(&self, code: i64, message: &str) {
        self.send(format!(
            r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":{code},"message":"{message}"}}}}"#,
            self.id
        ));
    }

    /// Sends a notification; `params` is a JSON text.
    pub(super) fn notify(&self, method: &str, params: &str) {
        self.send(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#));
    }

    /// Sends a request to the client; `method` and `params` are JSON texts.
    pub(super) fn ask(&self, id: u64, method: &str, params: &str) {
        self.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#));
    }

    /// What becomes of it is the proxy's affair: as asyncmcp, the server sends once and goes on.
    fn send(&self, text: String) {
        match Message::parse(text) {
            Ok(message) => {
                self.return_path.post(inbound(Some(self.route.clone()), Event::Message(message)));
            }
            Err(error) => {
                tracing::error!(%error, "the scripted server composed something that is no message");
            }
        }
    }
}
