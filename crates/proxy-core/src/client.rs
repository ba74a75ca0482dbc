//! The proxy as an MCP client of the far end: what it says of itself, and what of a server it can show to clients without a session.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    message::{Notification, Request, RequestId},
    version::ProtocolVersion,
};

/// What the proxy calls itself (2025-11-25, schema, `Implementation`).
const CLIENT_NAME: &str = "mcp-async-transport-proxy";

/// Members of the server's capabilities that promise what only a session can keep: log levels are a session's, and so are tasks.
const OF_SESSIONS: [&str; 2] = ["logging", "tasks"];

/// The same within a capability: what comes of its own accord has no stream to come on.
const OF_STREAMS: [&str; 2] = ["listChanged", "subscribe"];

/// The request with which the proxy opens a session of its own. It declares no capability, so the server asks nothing back
/// (2025-11-25, basic/lifecycle, capability negotiation).
pub(crate) fn initialize(id: RequestId, version: ProtocolVersion) -> Request {
    let params = format!(
        r#"{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"{CLIENT_NAME}","version":"{}"}}}}"#,
        env!("CARGO_PKG_VERSION")
    );
    Request::new(id, "initialize", RawValue::from_string(params).ok().as_deref())
}

/// What ends the handshake.
pub(crate) fn initialized() -> Notification {
    Notification::new("notifications/initialized", None)
}

/// Whether a request with this method can be served without a session. What sets something for a session, or asks about what a
/// session keeps, cannot: the next request may be served in another one.
pub(crate) fn is_served_without_session(method: &str) -> bool {
    !matches!(method, "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel")
        && !method.starts_with("tasks/")
}

/// The result of `initialize` for clients without a session: the server's, without the capabilities that need one. `None` where it
/// cannot be read.
pub(crate) fn result_without_session(result: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct InitializeResult<'text> {
        #[serde(borrow)]
        capabilities: &'text RawValue,
    }
    let declared = serde_json::from_str::<InitializeResult<'_>>(result).ok()?.capabilities.get();
    let mut capabilities = members(declared)?;
    capabilities.retain(|name, _| !OF_SESSIONS.contains(&name.as_ref()));
    let mut kept = BTreeMap::new();
    for (name, capability) in capabilities {
        let text = match members(capability.get()) {
            Some(mut inner) => {
                inner.retain(|name, _| !OF_STREAMS.contains(&name.as_ref()));
                serde_json::value::to_raw_value(&inner).ok()?
            }
            None => capability.to_owned(),
        };
        kept.insert(name, text);
    }
    let start = declared.as_ptr().addr() - result.as_ptr().addr();
    let (before, after) = (result.get(..start)?, result.get(start + declared.len()..)?);
    Some(format!("{before}{}{after}", serde_json::to_string(&kept).ok()?))
}

fn members(text: &str) -> Option<BTreeMap<Cow<'_, str>, &RawValue>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn it_declares_nothing_that_it_could_be_asked_for() {
        let request = initialize(RequestId::number(1), ProtocolVersion::V2025_06_18);
        let params: Value = serde_json::from_str(request.params().unwrap()).unwrap();
        assert_eq!(params["protocolVersion"], "2025-06-18");
        assert_eq!(params["capabilities"], json!({}));
        assert!(params["clientInfo"]["name"].is_string() && params["clientInfo"]["version"].is_string());
        assert_eq!(initialized().as_str(), r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    }

    #[test]
    fn what_needs_a_session_is_not_offered_and_the_rest_stays_as_it_is() {
        let result = r#"{"protocolVersion":"2025-11-25","capabilities":{"logging":{},"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true,"x":1e400},"prompts":{},"completions":{},"tasks":{"list":{}},"experimental":{"a":{"listChanged":1}}},"serverInfo":{"name":"s","version":"1"},"instructions":"i","more":123456789012345678901234567890}"#;
        let expected = r#"{"protocolVersion":"2025-11-25","capabilities":{"completions":{},"experimental":{"a":{"listChanged":1}},"prompts":{},"resources":{"x":1e400},"tools":{}},"serverInfo":{"name":"s","version":"1"},"instructions":"i","more":123456789012345678901234567890}"#;
        assert_eq!(result_without_session(result).as_deref(), Some(expected));
    }

    #[test]
    fn a_result_without_capabilities_cannot_be_read() {
        assert_eq!(result_without_session(r#"{"protocolVersion":"2025-11-25"}"#), None);
        assert_eq!(result_without_session(r#"{"capabilities":7}"#), None);
    }

    #[test]
    fn only_what_a_session_keeps_is_refused() {
        for method in ["resources/subscribe", "resources/unsubscribe", "logging/setLevel", "tasks/get"] {
            assert!(!is_served_without_session(method), "{method}");
        }
        for method in ["tools/call", "resources/read", "completion/complete", "x/own"] {
            assert!(is_served_without_session(method), "{method}");
        }
    }
}
