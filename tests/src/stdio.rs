//! The binary under test as desktop clients start it: a child that is spoken to by lines.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{ChildStdin, ChildStdout},
    time::timeout,
};

use crate::{
    process::{PATIENCE, Process},
    proxy::{ConfigFile, Settings},
};

/// A running `proxy-bin stdio`. Killed when it is dropped.
#[derive(Debug)]
pub struct StdioProxy {
    process: Process,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _file: ConfigFile,
}

impl StdioProxy {
    /// Starts it.
    pub fn start(settings: &Settings) -> Result<Self> {
        let file = settings.write()?;
        let (process, input, output) = Process::start_piped("the proxy", &mut file.command("stdio")?)?;
        Ok(Self { process, input, output: BufReader::new(output).lines(), _file: file })
    }

    /// Sends one message.
    pub async fn send(&mut self, message: &Value) -> Result<()> {
        self.send_line(&message.to_string()).await
    }

    /// Sends a line, whatever it is.
    pub async fn send_line(&mut self, line: &str) -> Result<()> {
        self.input.write_all(line.as_bytes()).await?;
        self.input.write_all(b"\n").await?;
        Ok(self.input.flush().await?)
    }

    /// The next line, which has to be a message.
    pub async fn receive(&mut self) -> Result<Value> {
        let line = timeout(PATIENCE, self.output.next_line()).await.context("it says nothing")??;
        message(&line.with_context(|| format!("it ended:\n{}", self.process.text()))?)
    }

    /// Sends a request and waits for its answer. What comes before goes to `before`.
    pub async fn request(&mut self, request: &Value, before: &mut Vec<Value>) -> Result<Value> {
        self.send(request).await?;
        loop {
            let message = self.receive().await?;
            if message["id"] == request["id"] && message.get("method").is_none() {
                return Ok(message);
            }
            before.push(message);
        }
    }

    /// Ends its input, as a client does that is done, and waits for its end, which has to be a clean one. Returns what it still
    /// said, and its log.
    pub async fn close(self) -> Result<(Vec<Value>, String)> {
        let Self { process, input, mut output, .. } = self;
        drop(input);
        let mut rest = Vec::new();
        while let Some(line) = timeout(PATIENCE, output.next_line()).await.context("it goes on")?? {
            rest.push(message(&line)?);
        }
        let (status, log) = process.finish().await?;
        ensure!(status.success(), "the proxy ended with {status}:\n{log}");
        Ok((rest, log))
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn message(line: &str) -> Result<Value> {
    let message: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
    ensure!(message["jsonrpc"] == "2.0", "no message: {line}");
    Ok(message)
}
