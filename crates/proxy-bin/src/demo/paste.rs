//! What to paste into MCP clients, so that they reach the demo.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::scene::{CREDENTIALS, Setting};
use crate::colour::{BOLD, DIM, PLAIN};

/// The name of the server in clients' lists.
const NAME: &str = "async-demo";

/// The lines for each client: over HTTP at `url`, or by starting `program` over stdio with these settings.
pub(super) fn lines(url: &str, program: &Path, settings: &[Setting]) -> Vec<String> {
    let http = json!({ "type": "http", "url": url });
    let code = json!({ "name": NAME, "type": "http", "url": url });
    let servers = |server: &Value| json!({ "mcpServers": { NAME: server } });
    let cursor = json!({ "url": url });
    let mut lines = vec![format!("{BOLD}Reach it from a client of yours{PLAIN}"), String::new()];
    let mut add = |client: &str, place: &str, text: String| {
        lines.push(format!("  {BOLD}{client}{PLAIN}{DIM}{place}{PLAIN}"));
        lines.push(format!("    {text}"));
    };
    let desktop = servers(&stdio(program, settings));
    add(
        "Claude Desktop",
        ", which starts `proxy-bin stdio`: claude_desktop_config.json",
        desktop.to_string(),
    );
    add("Claude Code", "", format!("claude mcp add --transport http {NAME} {url}"));
    add("VS Code", "", format!("code --add-mcp '{code}'"));
    add("Cursor", ": ~/.cursor/mcp.json", servers(&cursor).to_string());
    add("others", ", as they mostly have it", servers(&http).to_string());
    let inspector = "npx @modelcontextprotocol/inspector";
    add("MCP Inspector", "", format!("{inspector} --cli {url} --transport http --method tools/list"));
    lines
}

/// The server entry of a client that starts programs: another proxy, on the same far end.
fn stdio(program: &Path, settings: &[Setting]) -> Value {
    let set = settings.iter().flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
    let arguments: Vec<String> = ["stdio".to_owned()].into_iter().chain(set).collect();
    let mut server = json!({ "command": program, "args": arguments });
    // Any credentials do, but the SDK wants some.
    if settings.iter().any(|(key, _)| key.ends_with("endpoint_url")) {
        server["env"] = json!(BTreeMap::from(CREDENTIALS));
    }
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desktop_client_is_told_all_that_the_program_needs() {
        let settings = [("backend.sqs.endpoint_url".to_owned(), "http://127.0.0.1:8081".to_owned())];
        let server = stdio(Path::new("/opt/proxy-bin"), &settings);
        assert_eq!(server["command"], "/opt/proxy-bin");
        assert_eq!(
            server["args"],
            json!(["stdio", "--set", "backend.sqs.endpoint_url=http://127.0.0.1:8081"])
        );
        assert!(server["env"]["AWS_ACCESS_KEY_ID"].is_string());
        let settings = [("backend.webhook.server_url".to_owned(), "http://127.0.0.1:8081/".to_owned())];
        assert!(stdio(Path::new("proxy-bin"), &settings).get("env").is_none());
    }
}
