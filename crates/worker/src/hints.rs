//! Which tools may run more than once: those that are configured, and those that their server declares harmless where that is
//! trusted.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Mutex, PoisonError},
};

use proxy_core::message::Response;
use serde::Deserialize;

/// The most tools of one session whose hints are kept.
const MAX_TOOLS: usize = 10_000;

/// What one session's server declared.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    harmless: Mutex<HashSet<Box<str>>>,
}

#[derive(Deserialize)]
struct ToolList {
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
struct Tool {
    name: Box<str>,
    #[serde(default)]
    annotations: Option<Annotations>,
}

/// The hints of MCP 2025-11-25 (schema, `ToolAnnotations`): both are false where they are left out.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Annotations {
    read_only_hint: bool,
    idempotent_hint: bool,
}

impl Hints {
    /// Takes in an answer to `tools/list`. The newest declaration of a tool counts.
    pub(crate) fn learn(&self, answer: &Response) {
        let Some(list) = answer.result().and_then(|result| serde_json::from_str::<ToolList>(result).ok())
        else {
            return;
        };
        let mut harmless = self.harmless.lock().unwrap_or_else(PoisonError::into_inner);
        for tool in list.tools {
            let is_harmless =
                tool.annotations.is_some_and(|hints| hints.read_only_hint || hints.idempotent_hint);
            if !is_harmless {
                harmless.remove(&tool.name);
            } else if harmless.len() < MAX_TOOLS {
                harmless.insert(tool.name);
            }
        }
    }

    /// Whether a call of this tool may run again.
    pub(crate) fn may_rerun(&self, tool: Option<&str>, configured: &BTreeSet<String>) -> bool {
        let Some(tool) = tool else { return false };
        configured.contains(tool)
            || self.harmless.lock().unwrap_or_else(PoisonError::into_inner).contains(tool)
    }
}

#[cfg(test)]
mod tests {
    use proxy_core::message::Message;

    use super::*;

    fn list(tools: &str) -> Response {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":{tools}}}}}"#);
        match Message::parse(text) {
            Ok(Message::Response(response)) => response,
            other => panic!("no response: {other:?}"),
        }
    }

    #[test]
    fn only_what_a_server_declares_harmless_may_run_again() {
        let hints = Hints::default();
        hints.learn(&list(
            r#"[{"name":"read","annotations":{"readOnlyHint":true}},{"name":"set","annotations":{"idempotentHint":true}},
                {"name":"pay","annotations":{"destructiveHint":false}},{"name":"plain"}]"#,
        ));
        let none = BTreeSet::new();
        for (tool, expected) in [("read", true), ("set", true), ("pay", false), ("plain", false)] {
            assert_eq!(hints.may_rerun(Some(tool), &none), expected, "{tool}");
        }
        assert!(hints.may_rerun(Some("plain"), &BTreeSet::from(["plain".to_owned()])));
        assert!(!hints.may_rerun(None, &none));
    }

    #[test]
    fn the_newest_declaration_counts() {
        let hints = Hints::default();
        hints.learn(&list(r#"[{"name":"set","annotations":{"idempotentHint":true}}]"#));
        hints.learn(&list(r#"[{"name":"set"}]"#));
        assert!(!hints.may_rerun(Some("set"), &BTreeSet::new()));
    }
}
