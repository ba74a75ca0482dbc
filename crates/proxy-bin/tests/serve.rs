//! The built binary serving: start, drain, abort, over the emulator and with the far end played by hand.

#![cfg(feature = "sqs")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use testkit::emulator::{Emulator, Failure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr, Command},
    time::timeout,
};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const CALL: &str =
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"slow","arguments":{}}}"#;

/// A running proxy, its log, and the queues around it.
struct Proxy {
    emulator: Emulator,
    requests: String,
    replies: String,
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
    logged: String,
    address: SocketAddr,
}

impl Proxy {
    /// Starts one, with a created reply queue.
    async fn start() -> Self {
        let emulator = Emulator::start().await.unwrap();
        let requests = emulator.create_queue("requests", &[]).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_proxy-bin"))
            .args(["serve", "--port", "0"])
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .env("RUST_LOG", "trace")
            .env("MCP_PROXY_BACKEND__SQS__READ_QUEUE_URL", &requests)
            .env("MCP_PROXY_BACKEND__SQS__ENDPOINT_URL", emulator.endpoint_url())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut proxy = Self {
            emulator,
            requests,
            replies: String::new(),
            process,
            log,
            logged: String::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let connected = proxy.logged("connected to the backend").await;
        assert_eq!(connected["requests"], proxy.requests.as_str());
        proxy.replies = connected["answers"].as_str().unwrap().to_owned();
        let listening = proxy.logged("listening").await;
        let url = listening["url"].as_str().unwrap();
        proxy.address = url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().parse().unwrap();
        proxy
    }

    /// Waits for a message in the log, which is JSON where there is no terminal.
    async fn logged(&mut self, message: &str) -> Value {
        loop {
            let line = timeout(PATIENCE, self.log.next_line()).await.expect(message).unwrap().expect(message);
            let entry: Value = serde_json::from_str(&line).expect(&line);
            self.logged.push_str(&line);
            if entry["message"].as_str().is_some_and(|text| text.starts_with(message)) {
                return entry;
            }
        }
    }

    fn signal(&self) {
        let process = self.process.id().unwrap().to_string();
        let status = std::process::Command::new("kill").args(["-TERM", &process]).status().unwrap();
        assert!(status.success());
    }

    async fn exit_code(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.process.wait()).await.expect("the process ends").unwrap().code()
    }

    /// Sends a request on a connection of its own, and returns head and body of the response.
    async fn http(address: SocketAddr, method: &str, path: &str, session: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let session =
            if session.is_empty() { String::new() } else { format!("Mcp-Session-Id: {session}\r\n") };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{session}Content-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut response)).await.expect("a response").unwrap();
        response
    }

    /// Takes the next request off the queue as the server would.
    async fn received(&self) -> Value {
        let client = self.emulator.client();
        loop {
            let receive = client.receive_message().queue_url(&self.requests).wait_time_seconds(20);
            let messages = timeout(PATIENCE, receive.send()).await.expect("a request").unwrap();
            for message in messages.messages() {
                let receipt = message.receipt_handle().unwrap();
                client
                    .delete_message()
                    .queue_url(&self.requests)
                    .receipt_handle(receipt)
                    .send()
                    .await
                    .unwrap();
                let message: Value = serde_json::from_str(message.body().unwrap()).unwrap();
                if message.get("id").is_some() {
                    return message;
                }
            }
        }
    }

    /// Answers a request as the server would.
    async fn answer(&self, request: &Value, result: Value) {
        self.put(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string()).await;
    }

    /// Puts a message on the reply queue.
    async fn put(&self, body: String) {
        self.emulator
            .client()
            .send_message()
            .queue_url(&self.replies)
            .message_body(body)
            .send()
            .await
            .unwrap();
    }

    /// What `/metrics` shows: the names of all metrics as they are scraped, each with the names of its labels.
    async fn metrics(&self) -> BTreeMap<String, BTreeSet<String>> {
        let response = Self::http(self.address, "GET", "/metrics", "", "").await;
        let (_, text) = response.split_once("\r\n\r\n").unwrap();
        let mut metrics = BTreeMap::new();
        let mut labels = &mut BTreeSet::new();
        for line in text.lines() {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                let suffix = match kind {
                    "counter" => "_total",
                    "info" => "_info",
                    _ => "",
                };
                labels = metrics.entry(format!("{name}{suffix}")).or_default();
            } else if let Some((_, pairs)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
                let names = pairs.split(',').filter_map(|pair| pair.split_once("=\"")).map(|(name, _)| name);
                labels.extend(names.filter(|name| *name != "le").map(str::to_owned));
            }
        }
        metrics
    }

    /// Asks until the proxy says that it is not ready.
    async fn until_not_ready(&self) {
        while !Self::http(self.address, "GET", "/readyz", "", "").await.starts_with("HTTP/1.1 503") {}
    }

    /// Opens a session, and returns its id.
    async fn open_session(&self) -> String {
        let result = json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                             "serverInfo": { "name": "far end", "version": "1" } });
        let server = async {
            let request = self.received().await;
            assert_eq!(request["params"]["response_queue_url"], self.replies.as_str());
            self.answer(&request, result).await;
        };
        let (response, ()) = tokio::join!(Self::http(self.address, "POST", "/mcp", "", INITIALIZE), server);
        assert!(response.contains("far end"), "{response}");
        let header = response.lines().find(|line| line.to_lowercase().starts_with("mcp-session-id:"));
        let session = header.expect("a session id").split_once(':').unwrap().1.trim().to_owned();
        let response = Self::http(self.address, "POST", "/mcp", &session, INITIALIZED).await;
        assert!(response.starts_with("HTTP/1.1 202"), "{response}");
        session
    }
}

#[tokio::test]
async fn a_request_in_flight_is_answered_after_the_signal() {
    let mut proxy = Proxy::start().await;
    let live = Proxy::http(proxy.address, "GET", "/livez", "", "").await;
    assert!(live.starts_with("HTTP/1.1 200"), "{live}");
    let health = Proxy::http(proxy.address, "GET", "/health", "", "").await;
    assert!(health.contains(r#""backend_transport":"sqs""#), "{health}");
    let session = proxy.open_session().await;
    let metrics = Proxy::http(proxy.address, "GET", "/metrics", "", "").await;
    assert!(metrics.contains("# EOF"), "{metrics}");

    let call = Proxy::http(proxy.address, "POST", "/mcp", &session, CALL);
    let drain = async {
        let request = proxy.received().await;
        proxy.signal();
        proxy.logged("shutting down").await;
        timeout(PATIENCE, proxy.until_not_ready()).await.expect("readiness goes red");
        let refused = Proxy::http(proxy.address, "POST", "/mcp", "", INITIALIZE).await;
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        proxy.answer(&request, json!({ "content": [{ "type": "text", "text": "at last" }] })).await;
    };
    let (response, ()) = tokio::join!(call, drain);
    assert!(response.contains("at last"), "{response}");

    proxy.logged("ended").await;
    assert_eq!(proxy.exit_code().await, Some(0));
    for secret in ["at last", "far end", &session] {
        assert!(!proxy.logged.contains(secret), "{secret} in the log, which is set to trace");
    }
    let created = proxy.replies.rsplit('/').next().unwrap();
    assert!(created.starts_with("mcp-proxy-responses"), "{created}");
    assert!(proxy.emulator.depth(created).is_none(), "the created queue is deleted");
}

#[tokio::test]
async fn the_documentation_names_every_metric_with_its_labels() {
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| `mcp_proxy_")?.split('|');
        let name = format!("mcp_proxy_{}", cells.next()?.trim().trim_end_matches('`'));
        let labels = cells.nth(1)?.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        Some((name, labels.filter(|label| label != "–").collect::<BTreeSet<_>>()))
    };
    let documented: BTreeMap<_, _> =
        include_str!("../../../docs/TELEMETRY.md").lines().filter_map(row).collect();

    // A metric with labels shows once it has counted something.
    let proxy = Proxy::start().await;
    let session = proxy.open_session().await;
    Proxy::http(proxy.address, "POST", "/mcp", "nobodys", CALL).await;
    let cancelled =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"unknown"}}"#;
    Proxy::http(proxy.address, "POST", "/mcp", &session, cancelled).await;
    let too_large = CALL.replace("slow", &"x".repeat(2 << 20));
    Proxy::http(proxy.address, "POST", "/mcp", &session, &too_large).await;
    Proxy::http(proxy.address, "DELETE", "/mcp", &session, "").await;
    proxy.emulator.fail_next_of("test", "ReceiveMessage", Failure::Unavailable, 1);
    proxy.put("no message".to_owned()).await;
    let all = async { while proxy.metrics().await.len() < documented.len() {} };
    let came = timeout(PATIENCE, all).await;
    assert_eq!(proxy.metrics().await, documented, "{came:?}");
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut proxy = Proxy::start().await;
    let session = proxy.open_session().await;
    let address = proxy.address;
    let mut clients = tokio::task::JoinSet::new();
    clients.spawn(async move { Proxy::http(address, "POST", "/mcp", &session, CALL).await });
    proxy.received().await;
    proxy.signal();
    proxy.logged("shutting down").await;
    proxy.signal();
    proxy.logged("ended at once").await;
    assert_eq!(proxy.exit_code().await, Some(1));
}

#[tokio::test]
async fn a_signal_during_the_start_leaves_no_queue_behind() {
    let emulator = Emulator::start().await.unwrap();
    let requests = emulator.create_queue("requests", &[]).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_proxy-bin"))
        .args(["serve", "--port", "0"])
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("MCP_PROXY_BACKEND__SQS__READ_QUEUE_URL", &requests)
        .env("MCP_PROXY_BACKEND__SQS__ENDPOINT_URL", emulator.endpoint_url())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let created = loop {
        let line = timeout(PATIENCE, log.next_line()).await.expect("a line").unwrap().expect("a line");
        let entry: Value = serde_json::from_str(&line).expect(&line);
        if entry["message"] == "reply queue created" {
            break entry["messaging.destination.name"].as_str().unwrap().to_owned();
        }
    };
    assert!(emulator.depth(&created).is_some());
    let id = process.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let code = timeout(PATIENCE, process.wait()).await.expect("the process ends").unwrap().code();
    assert_eq!(code, Some(0));
    assert!(emulator.depth(&created).is_none(), "the created queue is deleted");
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_named() {
    let emulator = Emulator::start().await.unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_proxy-bin"))
        .args(["serve", "--port", "0"])
        .args(["--set", &format!("backend.sqs.read_queue_url={}", emulator.queue_url("nowhere"))])
        .args(["--set", &format!("backend.sqs.endpoint_url={}", emulator.endpoint_url())])
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .output();
    let output = timeout(PATIENCE, output).await.expect("the process ends").unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().last().unwrap().contains("nowhere"), "{text}");
}
