//! The built binary serving: start, drain, abort, over the emulator and with the far end played by hand.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

use std::{net::SocketAddr, process::Stdio, time::Duration};

use serde_json::{Value, json};
use testkit::emulator::Emulator;
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
        let body = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string();
        self.emulator
            .client()
            .send_message()
            .queue_url(&self.replies)
            .message_body(body)
            .send()
            .await
            .unwrap();
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
