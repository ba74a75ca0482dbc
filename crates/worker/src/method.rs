//! Which requests are calls: those that must not run twice.

/// The requests of MCP 2025-11-25 that change nothing, or nothing more when they come again.
const REPEATABLE: [&str; 15] = [
    "initialize",
    "ping",
    "tools/list",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/read",
    "resources/templates/list",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
    "logging/setLevel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
];

/// Whether a request with this method is a call. What is not known to be harmless is one.
pub(crate) fn is_call(method: &str) -> bool {
    !REPEATABLE.contains(&method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_harmless_is_a_call() {
        for method in ["tools/call", "tasks/cancel", "x/custom", "Tools/List", ""] {
            assert!(is_call(method), "{method}");
        }
        for method in ["initialize", "ping", "tools/list", "resources/read", "prompts/get"] {
            assert!(!is_call(method), "{method}");
        }
    }
}
