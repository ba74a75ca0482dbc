//! A real `initialize` through the proxy to the MCP server, and what it has to offer.

use std::{sync::Arc, time::Duration};

use proxy_core::{
    Media, Pending, Principal, ProtocolVersion, Proxy, Reply,
    id::SessionId,
    message::{Message, Notification, Request, RequestId},
    operator::Check,
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::time::{Instant, timeout};

use super::super::print::Checks;

const HANDSHAKE: &str = "initialize";
const TOOLS: &str = "tools/list";

/// How long the server may take for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is read of the result of `initialize` (2025-11-25, schema, `InitializeResult`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: String,
    #[serde(default)]
    server_info: ServerInfo,
    #[serde(default)]
    capabilities: serde_json::Map<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServerInfo {
    name: String,
    version: String,
}

/// Opens a session, looks at what there is, and ends the session again.
///
/// `remedy` is for a server that does not answer.
pub(super) async fn handshake(proxy: &Arc<Proxy>, remedy: &'static str, checks: &mut Checks) {
    let caller = Principal::Anonymous;
    let started = Instant::now();
    let opened = match proxy.open(&caller, initialize(), Media::Json) {
        Ok(opened) => opened,
        Err(refusal) => return checks.add(Check::failed(HANDSHAKE, refusal.to_string(), "try again")),
    };
    let answer = answer(opened.pending, started).await.and_then(|(text, took)| {
        let read = serde_json::from_str::<Initialized>(&text);
        read.map(|initialized| (initialized, took))
            .map_err(|_| "its result is not that of initialize".to_owned())
    });
    match answer {
        Ok((initialized, took)) => {
            let Initialized { protocol_version, server_info, capabilities } = initialized;
            let ServerInfo { name, version } = server_info;
            let offers: Vec<&str> = capabilities.keys().map(String::as_str).collect();
            let offers = if offers.is_empty() { "nothing".to_owned() } else { offers.join(", ") };
            checks.add(Check::good(
                HANDSHAKE,
                format!(
                    "{name:?} {version} answered in {took} ms, revision {protocol_version}, offers {offers}"
                ),
            ));
            if capabilities.contains_key("tools") {
                checks.add(tools(proxy, &opened.session, &caller).await);
            }
        }
        Err(what) => checks.add(Check::failed(HANDSHAKE, what, remedy)),
    }
    if let Err(refusal) = proxy.end(&opened.session, &caller) {
        tracing::debug!(error.r#type = refusal.reason(), "the session had ended already");
    }
}

/// How many tools there are.
async fn tools(proxy: &Arc<Proxy>, session: &SessionId, caller: &Principal) -> Check {
    let remedy = "look at the MCP server's own log";
    let started = Instant::now();
    let messages = [
        Message::from(Notification::new("notifications/initialized", None)),
        Message::from(Request::new(RequestId::number(2), TOOLS, None)),
    ];
    let mut last = Ok(None);
    for message in messages {
        last = proxy.forward(session, caller, vec![message], Media::Json);
    }
    let pending = match last {
        Ok(Some(pending)) => pending,
        Ok(None) => return Check::failed(TOOLS, "it was not taken", remedy),
        Err(refusal) => return Check::failed(TOOLS, refusal.to_string(), remedy),
    };
    match answer(pending, started).await {
        Ok((text, took)) => {
            let result = serde_json::from_str::<Value>(&text).unwrap_or_default();
            let count = result["tools"].as_array().map_or(0, Vec::len);
            let more = if result["nextCursor"].is_string() { " on its first page" } else { "" };
            let tools = if count == 1 { "tool" } else { "tools" };
            Check::good(TOOLS, format!("{count} {tools}{more}, in {took} ms"))
        }
        Err(what) => Check::failed(TOOLS, what, remedy),
    }
}

/// The result, with the milliseconds that it took; or what came in its place.
async fn answer(pending: Pending, started: Instant) -> Result<(String, u128), String> {
    let reply = timeout(PATIENCE, pending.reply(Duration::MAX)).await;
    let took = started.elapsed().as_millis();
    let answers = match reply {
        Ok(Reply::Whole(answers)) => answers,
        // Events that are no answers were not asked for.
        Ok(Reply::Stream(_)) => Vec::new(),
        Err(_) => return Err(format!("no answer came within {} s", PATIENCE.as_secs())),
    };
    let text = answers.into_iter().next().ok_or_else(|| "no answer came".to_owned())?;
    match Message::parse(text) {
        Ok(Message::Response(response)) => match response.result() {
            Some(result) => Ok((result.to_owned(), took)),
            None => Err(error_text(response.as_str())),
        },
        Ok(_) | Err(_) => Err("what came is no answer".to_owned()),
    }
}

fn error_text(response: &str) -> String {
    let response = serde_json::from_str::<Value>(response).unwrap_or_default();
    let message = response["error"]["message"].as_str().unwrap_or_default();
    format!("it ended with the error {}: {message}", response["error"]["code"])
}

fn initialize() -> Request {
    let params = format!(
        r#"{{"protocolVersion":"{}","capabilities":{{}},"clientInfo":{{"name":"proxy-bin doctor","version":"{}"}}}}"#,
        ProtocolVersion::LATEST,
        env!("CARGO_PKG_VERSION")
    );
    Request::new(RequestId::number(1), "initialize", RawValue::from_string(params).ok().as_deref())
}
