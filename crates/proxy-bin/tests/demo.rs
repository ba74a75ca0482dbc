//! The demo of the built binary, over every backend: it shows a call, says what to paste, and ends without a trace.

#![cfg(feature = "demo")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::timeout,
};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// Nothing of the environment is needed.
fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxy-bin"));
    command.arg("demo").args(arguments).env_clear().env("TMPDIR", folder).kill_on_drop(true);
    command
}

async fn output(folder: &Path, arguments: &[&str]) -> Output {
    timeout(PATIENCE, demo(folder, arguments).output()).await.expect("the demo ends").unwrap()
}

#[tokio::test]
async fn a_call_is_shown_over_every_backend() {
    for backend in proxy_app::config::BackendTables::NAMES {
        let folder = tempfile::tempdir().unwrap();
        let output = output(folder.path(), &["--once", "--port", "0", "--backend", backend]).await;
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{backend}: {}", String::from_utf8_lossy(&output.stderr));
        // Every place, in order, and the sum of what was asked.
        let places: Vec<&str> = shown
            .lines()
            .filter(|line| line.contains(" ms ") && line.contains('+'))
            .filter_map(|line| line.split_whitespace().nth(3))
            .collect();
        assert_eq!(
            places,
            ["client", "proxy", "worker", "server", "worker", "proxy", "client"],
            "{backend}: {shown}"
        );
        assert!(shown.contains("42 is the answer"), "{backend}: {shown}");
        assert!(!shown.contains('\x1b'), "colours are for terminals: {shown}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{backend}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    // The one of what lies between, and the proxy's own.
    for asked in [port - 1, port] {
        let output = output(folder.path(), &["--once", "--port", &asked.to_string()]).await;
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        // Others may have taken the port beside it.
        let named = [asked, asked + 1]
            .map(|port| format!("cannot listen on 127.0.0.1:{port}: another program has it"));
        assert!(named.iter().any(|named| said.contains(named)) && said.contains("--port N"), "{said}");
    }
}

#[tokio::test]
async fn the_last_port_has_no_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(folder.path(), &["--once", "--port", "65535"]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("65535 is not in 0..65535"), "{said}");
}

/// What is printed for Claude Desktop is taken at its word.
#[tokio::test]
#[cfg(unix)]
async fn what_a_desktop_client_is_told_to_start_reaches_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = demo(folder.path(), &["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut shown = BufReader::new(process.stdout.take().unwrap()).lines();
    let pasted = loop {
        let line = timeout(PATIENCE, shown.next_line()).await.expect("lines to paste").unwrap().unwrap();
        if line.contains("\"command\"") {
            break serde_json::from_str::<Value>(line.trim()).unwrap();
        }
    };
    let server = pasted["mcpServers"].as_object().unwrap().values().next().unwrap();
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut client = Command::new(server["command"].as_str().unwrap());
    client.args(texts(&server["args"])).env_clear();
    for (name, value) in server["env"].as_object().into_iter().flatten() {
        client.env(name, value.as_str().unwrap());
    }
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    let mut answers = BufReader::new(client.stdout.take().unwrap()).lines();
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"test","version":"1"}}}"#;
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let ask = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"ask","arguments":{}}}"#;
    input.write_all(format!("{initialize}\n{initialized}\n{ask}\n").as_bytes()).await.unwrap();
    let mut next = async || -> Value {
        let line = timeout(PATIENCE, answers.next_line()).await.expect("an answer").unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    };
    assert_eq!(next().await["result"]["serverInfo"]["name"], "proxy-bin demo");
    let question = next().await;
    assert_eq!(question["method"], "elicitation/create");
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{{"action":"accept","content":{{"answer":"well"}}}}}}"#,
        question["id"]
    );
    input.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
    assert_eq!(next().await["result"]["content"][0]["text"], "The user says: well");
    drop(input);
    assert!(timeout(PATIENCE, client.wait()).await.expect("the client ends").unwrap().success());
    let demo = process.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &demo]).status().unwrap().success());
    assert!(timeout(PATIENCE, process.wait()).await.expect("the demo ends").unwrap().success());
}
