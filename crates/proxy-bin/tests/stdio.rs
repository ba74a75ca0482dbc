//! The built binary over standard input and output, with the emulator behind and the far end played by hand.

#![cfg(feature = "sqs")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use testkit::emulator::Emulator;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::{Instant, timeout},
};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the official clients wait for the end of a process whose input they closed, before they kill it.
const CLIENTS_PATIENCE: Duration = Duration::from_secs(2);

/// A running proxy, and the queues behind it.
struct Proxy {
    emulator: Emulator,
    requests: String,
    process: Child,
    input: Option<ChildStdin>,
    output: Option<Lines<BufReader<ChildStdout>>>,
    log: ChildStderr,
}

impl Proxy {
    async fn start() -> Self {
        let emulator = Emulator::start().await.unwrap();
        let requests = emulator.create_queue("requests", &[]).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_proxy-bin"))
            .args(["stdio", "--request-timeout", "1m"])
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .env("MCP_PROXY_SESSION__STATELESS", "true")
            .env("MCP_PROXY_BACKEND__SQS__READ_QUEUE_URL", &requests)
            .env("MCP_PROXY_BACKEND__SQS__ENDPOINT_URL", emulator.endpoint_url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, log) = (process.stdin.take(), process.stderr.take().unwrap());
        let output = Some(BufReader::new(process.stdout.take().unwrap()).lines());
        Self { emulator, requests, process, input, output, log }
    }

    async fn send(&mut self, message: &Value) {
        self.input.as_mut().unwrap().write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        serde_json::from_str(&self.line().await.expect("a message")).unwrap()
    }

    async fn line(&mut self) -> Option<String> {
        timeout(PATIENCE, self.output.as_mut().unwrap().next_line()).await.expect("a line").unwrap()
    }

    /// Takes the next request or notification with this method off the queue as the server would.
    async fn received(&self, method: &str) -> Value {
        let client = self.emulator.client();
        loop {
            let receive = client.receive_message().queue_url(&self.requests).wait_time_seconds(20);
            let messages = timeout(PATIENCE, receive.send()).await.expect(method).unwrap();
            for message in messages.messages() {
                let receipt = message.receipt_handle().unwrap();
                let delete = client.delete_message().queue_url(&self.requests).receipt_handle(receipt);
                delete.send().await.unwrap();
                let message: Value = serde_json::from_str(message.body().unwrap()).unwrap();
                if message["method"] == method {
                    return message;
                }
            }
        }
    }

    /// Opens the session. Returns the queue that the server is to answer on.
    async fn handshake(&mut self) -> String {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        });
        self.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params })).await;
        let request = self.received("initialize").await;
        let replies = request["params"]["response_queue_url"].as_str().unwrap().to_owned();
        let result = json!({
            "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "far end", "version": "1" },
        });
        self.answer(&replies, &request, &result).await;
        assert_eq!(self.next().await, json!({ "jsonrpc": "2.0", "id": 1, "result": result }));
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        self.received("notifications/initialized").await;
        replies
    }

    async fn answer(&self, replies: &str, request: &Value, result: &Value) {
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string();
        self.emulator.client().send_message().queue_url(replies).message_body(answer).send().await.unwrap();
    }

    async fn exit_code(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.process.wait()).await.expect("the process ends").unwrap().code()
    }

    async fn logged(&mut self) -> String {
        let mut log = String::new();
        timeout(PATIENCE, self.log.read_to_string(&mut log)).await.expect("the log ends").unwrap();
        log
    }

    fn is_gone(&self, queue: &str) -> bool {
        self.emulator.depth(queue.rsplit('/').next().unwrap()).is_none()
    }
}

fn call(id: i64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "slow", "arguments": {} } })
}

#[tokio::test]
async fn the_end_of_the_input_ends_the_process_and_leaves_nothing_behind() {
    let mut proxy = Proxy::start().await;
    let replies = proxy.handshake().await;
    proxy.send(&call(2)).await;
    let request = proxy.received("tools/call").await;
    proxy.answer(&replies, &request, &json!({ "content": [] })).await;
    assert_eq!(proxy.next().await, json!({ "jsonrpc": "2.0", "id": 2, "result": { "content": [] } }));

    // One more that is never answered: it is cancelled.
    proxy.send(&call(3)).await;
    let request = proxy.received("tools/call").await;
    let start = Instant::now();
    proxy.input = None;
    assert_eq!(proxy.exit_code().await, Some(0));
    assert!(start.elapsed() < CLIENTS_PATIENCE, "{:?}", start.elapsed());
    let cancelled = proxy.received("notifications/cancelled").await;
    assert_eq!(cancelled["params"]["requestId"], request["id"]);
    assert!(proxy.is_gone(&replies), "the created queue is deleted");
    let error = proxy.next().await;
    assert_eq!((&error["id"], &error["error"]["data"]["reason"]), (&json!(3), &json!("session_closed")));
    assert_eq!(proxy.line().await, None, "nothing but messages");
    let log = proxy.logged().await;
    assert!(log.contains("session.stateless has no effect over stdio"), "{log}");
}

#[tokio::test]
async fn a_client_that_reads_nothing_more_ends_the_process() {
    let mut proxy = Proxy::start().await;
    let replies = proxy.handshake().await;
    proxy.output = None;
    proxy.send(&json!({ "jsonrpc": "2.0", "id": 9, "method": "ping" })).await;
    assert_eq!(proxy.exit_code().await, Some(0));
    assert!(proxy.is_gone(&replies));
}

#[tokio::test]
async fn a_signal_ends_it_though_the_input_stays_open() {
    let mut proxy = Proxy::start().await;
    let replies = proxy.handshake().await;
    let start = Instant::now();
    let process = proxy.process.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    assert_eq!(proxy.exit_code().await, Some(0));
    assert!(start.elapsed() < CLIENTS_PATIENCE, "{:?}", start.elapsed());
    assert!(proxy.is_gone(&replies));
}
