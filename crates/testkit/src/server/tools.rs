//! The server's tools.

use std::{borrow::Cow, future::Future, pin::Pin, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Shared, TOOL_FAILED, answer::Answers, serve::Session};
use crate::counted::Counted;

const INVALID_PARAMS: i64 = -32602;

/// The result of `tools/list`.
pub(super) const LIST: &str = r#"{"tools":[{"name":"echo","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}},{"name":"slow","inputSchema":{"type":"object","properties":{"progress":{"type":"integer"}}}},{"name":"log","inputSchema":{"type":"object","properties":{"text":{"type":"string"},"count":{"type":"integer"}}}},{"name":"ask","inputSchema":{"type":"object","properties":{"method":{"type":"string"},"params":{"type":"object"}}}},{"name":"fail","inputSchema":{"type":"object"}},{"name":"silent","inputSchema":{"type":"object"}},{"name":"big","inputSchema":{"type":"object","properties":{"bytes":{"type":"integer"}}}}]}"#;

/// How long the text of `big` is where nothing else is asked for.
const BIG: usize = 1024 * 1024;

/// A call that has to wait for something.
pub(super) type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Deserialize)]
struct Params<'text> {
    #[serde(borrow)]
    name: Cow<'text, str>,
    #[serde(borrow, default)]
    arguments: Arguments<'text>,
    #[serde(borrow, rename = "_meta", default)]
    meta: Meta<'text>,
}

#[derive(Deserialize, Default)]
struct Meta<'text> {
    #[serde(borrow, rename = "progressToken")]
    progress_token: Option<&'text RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Arguments<'text> {
    #[serde(borrow)]
    text: Option<&'text RawValue>,
    #[serde(borrow)]
    method: Option<&'text RawValue>,
    #[serde(borrow)]
    params: Option<&'text RawValue>,
    progress: u32,
    count: Option<u32>,
    bytes: Option<usize>,
}

/// Answers a `tools/call`, or returns what is still to be done for it.
pub(super) fn call(
    session: &mut Session,
    shared: &Arc<Shared>,
    answers: Answers,
    params: Option<&str>,
) -> Option<Waiting> {
    let Some(Params { name, arguments, meta }) = params.and_then(|text| serde_json::from_str(text).ok())
    else {
        answers.error(INVALID_PARAMS, "Invalid params");
        return None;
    };
    let text = arguments.text.map_or(r#""""#, RawValue::get);
    match name.as_ref() {
        "echo" => answers.text(text),
        "slow" => {
            let token = meta.progress_token.map(RawValue::get);
            report_progress(&answers, token, arguments.progress);
            return Some(Box::pin(wait_for_release(Arc::clone(shared), answers)));
        }
        "log" => {
            let params = format!(r#"{{"level":"info","logger":"scripted","data":{text}}}"#);
            for _ in 0..arguments.count.unwrap_or(1) {
                answers.notify("notifications/message", &params);
            }
            answers.text(text);
        }
        "ask" => {
            let (id, answer) = session.ask();
            let method = arguments.method.map_or(r#""roots/list""#, RawValue::get);
            answers.ask(id, method, arguments.params.map_or("{}", RawValue::get));
            return Some(Box::pin(async move {
                if let Ok(answer) = answer.await {
                    answers.text(&serde_json::Value::from(answer.as_str()).to_string());
                }
            }));
        }
        "fail" => answers.error(TOOL_FAILED, "the tool failed, as it was told to"),
        "silent" => {}
        "big" => answers.text(&format!(r#""{}""#, "x".repeat(arguments.bytes.unwrap_or(BIG)))),
        _ => answers.error(INVALID_PARAMS, "Unknown tool"),
    }
    None
}

fn report_progress(answers: &Answers, token: Option<&str>, total: u32) {
    let Some(token) = token else { return };
    for progress in 1..=total {
        let params = format!(r#"{{"progressToken":{token},"progress":{progress},"total":{total}}}"#);
        answers.notify("notifications/progress", &params);
    }
}

async fn wait_for_release(shared: Arc<Shared>, answers: Answers) {
    {
        let _waiting = Counted::new(&shared.slow_waiting);
        match shared.slow_permits.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => return,
        }
    }
    answers.text(r#""done""#);
}
