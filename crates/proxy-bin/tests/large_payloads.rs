//! The built binary at both ends of a queue, with messages that the queue does not take: they go by way of S3.

#![cfg(all(unix, feature = "sqs", feature = "large-payloads"))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use testkit::emulator::Emulator;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinSet,
    time::timeout,
};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// More than a queue takes (SQS: 1 MiB), less than a client may send over stdio.
const LARGE: usize = 3 << 20;

/// An MCP server whose one tool gives back its argument.
const SERVER: &str = r"
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked.get('method') == 'initialize':
        result = {'protocolVersion': '2025-11-25', 'capabilities': {'tools': {}}, 'serverInfo': {'name': 'echo', 'version': '1'}}
    elif asked.get('method') == 'tools/call':
        result = {'content': [{'type': 'text', 'text': asked['params']['arguments']['text']}]}
    else:
        continue
    print(json.dumps({'jsonrpc': '2.0', 'id': asked['id'], 'result': result}), flush=True)
";

/// A client of `proxy-bin stdio`.
struct Client {
    process: Child,
    input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Client {
    fn start(mut proxy: Command) -> Self {
        let mut process = proxy.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, input, answers }
    }

    async fn send(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        let answer = timeout(PATIENCE, self.answers.next_line()).await.expect(method).unwrap().expect(method);
        serde_json::from_str(&answer).unwrap()
    }

    async fn initialize(&mut self) {
        let client = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        assert_eq!(self.ask(1, "initialize", params).await["result"]["serverInfo"]["name"], "echo");
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    }

    async fn echo(&mut self, id: u64, text: &str) -> Value {
        self.ask(id, "tools/call", json!({ "name": "echo", "arguments": { "text": text } })).await
    }

    /// Goes, and waits until the proxy has.
    async fn end(self) {
        let Self { mut process, input, .. } = self;
        drop(input);
        assert_eq!(timeout(PATIENCE, process.wait()).await.expect("the proxy ends").unwrap().code(), Some(0));
    }
}

/// A worker that runs. Its log is read, so that it can go on writing.
struct Worker {
    process: Child,
    _reading: JoinSet<()>,
}

impl Worker {
    async fn stop(mut self) {
        let process = self.process.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        let ended = timeout(PATIENCE, self.process.wait()).await.expect("the worker ends");
        assert_eq!(ended.unwrap().code(), Some(0));
    }
}

fn command(emulator: &Emulator, state: &tempfile::TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxy-bin"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("XDG_STATE_HOME", state.path())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", emulator.endpoint_url())
        .kill_on_drop(true);
    command
}

/// The worker, and a client of a proxy; each end goes by S3 where it is told a bucket.
async fn both_ends(
    emulator: &Emulator,
    state: &tempfile::TempDir,
    proxy_bucket: Option<&str>,
    worker_bucket: Option<&str>,
) -> (Worker, Client) {
    emulator.create_queue("requests", &[]).unwrap();
    emulator.create_bucket("large");
    let server = state.path().join("server.py");
    std::fs::write(&server, SERVER).unwrap();
    let queue = emulator.queue_url("requests");
    let payloads = |table: &str, bucket: Option<&str>| -> Vec<String> {
        bucket.map_or_else(Vec::new, |bucket| {
            let endpoint = emulator.endpoint_url();
            [("bucket", bucket), ("prefix", "mcp/"), ("endpoint_url", &endpoint)]
                .map(|(key, value)| format!("{table}.large_payloads.{key}={value}"))
                .into_iter()
                .flat_map(|setting| ["--set".to_owned(), setting])
                .collect()
        })
    };
    let at_worker = payloads("intake.sqs", worker_bucket);
    let mut arguments = vec!["worker", "--backend", "sqs", "--queue", &queue];
    arguments.extend(at_worker.iter().map(String::as_str));
    arguments.extend(["--set", "intake.sqs.wait_time=1s", "--", "python3", server.to_str().unwrap()]);
    let mut worker = command(emulator, state, &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(worker.stderr.take().unwrap()).lines();
    let running = async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains("the worker is running") {
                return;
            }
        }
        panic!("the worker did not start");
    };
    timeout(PATIENCE, running).await.expect("the worker runs");
    let mut reading = JoinSet::new();
    reading.spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });

    let key = format!("backend.sqs.read_queue_url={queue}");
    let at_proxy = payloads("backend.sqs", proxy_bucket);
    let mut arguments = vec!["stdio", "--set", &key, "--set", "backend.sqs.wait_time=1s"];
    arguments.extend(at_proxy.iter().map(String::as_str));
    let mut client = Client::start(command(emulator, state, &arguments));
    client.initialize().await;
    (Worker { process: worker, _reading: reading }, client)
}

#[tokio::test]
async fn a_call_and_its_answer_that_no_queue_takes_come_through_and_leave_nothing_behind() {
    let (emulator, state) = (Emulator::start().await.unwrap(), tempfile::tempdir().unwrap());
    let (worker, mut client) = both_ends(&emulator, &state, Some("large"), Some("large")).await;
    let text = "x".repeat(LARGE);
    for id in [2, 3] {
        let answer = client.echo(id, &text).await;
        assert!(answer["result"]["content"][0]["text"] == *text, "{:.300}", answer.to_string());
    }
    client.end().await;
    worker.stop().await;
    assert_eq!(emulator.objects("large").keys().collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn where_one_end_has_no_bucket_what_is_too_large_is_said_to_be_at_once() {
    let (emulator, state) = (Emulator::start().await.unwrap(), tempfile::tempdir().unwrap());
    let (worker, mut client) = both_ends(&emulator, &state, Some("large"), None).await;
    let answer = client.echo(2, &"x".repeat(LARGE)).await;
    assert_eq!(answer["error"]["data"]["reason"], "too_large", "{:.300}", answer.to_string());
    let small = client.echo(3, "small").await;
    assert_eq!(small["result"]["content"][0]["text"], "small");
    client.end().await;
    worker.stop().await;
    assert!(emulator.objects("large").is_empty());
}
