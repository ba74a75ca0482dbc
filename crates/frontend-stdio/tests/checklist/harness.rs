//! A client at the pipes of a front end under test.

use std::{sync::Arc, time::Duration};

use frontend_stdio::{ServeError, Stdio};
use proxy_core::config::SessionConfig;
use serde_json::{Value, json};
use testkit::{TestProxy, proxy_with};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much a pipe holds, as on Linux.
pub(crate) const PIPE: usize = 64 * 1024;

/// The largest message that is taken.
pub(crate) const MAX_MESSAGE: usize = 100_000;

pub(crate) struct Client {
    pub(crate) far: TestProxy,
    pub(crate) shutdown: CancellationToken,
    input: Option<DuplexStream>,
    output: Option<Lines<BufReader<DuplexStream>>>,
    serving: JoinSet<Result<(), ServeError>>,
}

impl Client {
    pub(crate) fn start() -> Self {
        Self::start_with(SessionConfig::default(), PIPE)
    }

    /// With these settings, and pipes that hold so many bytes.
    pub(crate) fn start_with(config: SessionConfig, pipe: usize) -> Self {
        let far = proxy_with(config);
        let (input, read) = tokio::io::duplex(pipe);
        let (write, output) = tokio::io::duplex(pipe);
        let shutdown = CancellationToken::new();
        let stdio = Stdio::new(Arc::clone(&far.proxy)).max_message(MAX_MESSAGE);
        let mut serving = JoinSet::new();
        serving.spawn(stdio.serve(read, write, shutdown.clone()));
        Self { far, shutdown, input: Some(input), output: Some(BufReader::new(output).lines()), serving }
    }

    /// With a session of this revision, of a client that declares every capability.
    pub(crate) async fn open(version: &str) -> Self {
        let mut client = Self::start();
        client.handshake(version).await;
        client
    }

    pub(crate) async fn handshake(&mut self, version: &str) {
        self.send(&initialize(1, version)).await;
        let answer = self.next().await;
        assert_eq!(answer["id"], 1, "{answer}");
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        self.far.server.wait_for_method("notifications/initialized").await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes()).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let writing = self.input.as_mut().unwrap().write_all(bytes);
        timeout(PATIENCE, writing).await.expect("the proxy reads").unwrap();
    }

    /// The next line; `None` at the end of the output.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let reading = self.output.as_mut().unwrap().next_line();
        timeout(PATIENCE, reading).await.expect("a line").unwrap()
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        serde_json::from_str(&self.line().await.expect("a message")).expect("a message a line")
    }

    /// Makes sure that nothing else was written: the answer to a ping is what comes next.
    pub(crate) async fn nothing_but_a_ping(&mut self) {
        self.send(&json!({"jsonrpc": "2.0", "id": "ping", "method": "ping"})).await;
        assert_eq!(self.next().await, json!({"jsonrpc": "2.0", "id": "ping", "result": {}}));
    }

    /// Ends what the client writes.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Ends what the client reads.
    pub(crate) fn close_output(&mut self) {
        self.output = None;
    }

    /// What serving came to.
    pub(crate) async fn served(&mut self) -> Result<(), ServeError> {
        timeout(PATIENCE, self.serving.join_next()).await.expect("serving ends").unwrap().unwrap()
    }
}

pub(crate) fn initialize(id: i64, version: &str) -> Value {
    let params = json!({
        "protocolVersion": version,
        "capabilities": {"sampling": {}, "roots": {}, "elicitation": {}},
        "clientInfo": {"name": "checklist", "version": "1"},
    });
    json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params})
}

/// A call of one of the scripted server's tools.
pub(crate) fn call(id: impl Into<Value>, tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": params})
}

/// The text that a tool answered with.
pub(crate) fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

/// The reason in an error's data.
pub(crate) fn reason(answer: &Value) -> &str {
    answer["error"]["data"]["reason"].as_str().unwrap_or_else(|| panic!("{answer}"))
}
