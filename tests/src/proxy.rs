//! The binary under test, as a process of its own.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::Process;

/// A running `proxy-bin serve`, with a configuration file of its own.
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    address: String,
    settings: Settings,
    _folder: TempDir,
}

/// What a proxy is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The emulator.
    pub endpoint: String,
    /// Where requests go.
    pub read_queue: String,
    /// Where answers come from; `None` has the proxy create its own queue.
    pub response_queue: Option<String>,
    /// Where to listen; port 0 for a free one.
    pub port: u16,
    /// More lines of TOML, tables included.
    pub more: String,
}

impl Settings {
    fn to_toml(&self) -> String {
        let Self { endpoint, read_queue, response_queue, port, more } = self;
        let mut text = format!(
            "[server]\nport = {port}\n[backend.sqs]\nendpoint_url = \"{endpoint}\"\nregion = \"us-east-1\"\nread_queue_url = \"{read_queue}\"\n"
        );
        if let Some(queue) = response_queue {
            text.push_str(&["response_queue_url = \"", queue, "\"\n"].concat());
        }
        text + more
    }
}

impl Proxy {
    /// Starts it and waits until it says where it listens.
    pub async fn start(settings: Settings) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("proxy.toml");
        std::fs::write(&file, settings.to_toml())?;
        let mut command = Command::new(binary()?);
        command
            .args(["serve", "--config"])
            .arg(&file)
            .env("AWS_ACCESS_KEY_ID", "proxy")
            .env("AWS_SECRET_ACCESS_KEY", "proxy")
            .env("RUST_LOG", "info,proxy_core=debug");
        let mut process = Process::start("the proxy", &mut command)?;
        let address = process.wait_for("where it listens", listening_address).await?;
        Ok(Self { process, address, settings, _folder: folder })
    }

    /// The endpoint for MCP clients.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Another path on the same port.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The value of a metric, summed over its labels that contain `labels`.
    pub async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let text = reqwest::get(self.at("/metrics")).await?.error_for_status()?.text().await?;
        let matching = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        Ok(matching.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Ends it as a crash does, and starts it again with the same settings on the same port.
    pub async fn crash_and_restart(mut self) -> Result<Self> {
        self.process.kill().await?;
        let port = self.address.rsplit(':').next().context("the address has no port")?.parse()?;
        Self::start(Settings { port, ..self.settings }).await
    }

    /// Asks it to drain and waits for its end, which has to be a clean one. Returns its log.
    pub async fn stop(self) -> Result<String> {
        self.process.terminate().await?;
        self.stop_after_signal().await
    }

    /// Waits for its end after it was asked to drain.
    pub async fn stop_after_signal(self) -> Result<String> {
        let (status, said) = self.process.finish().await?;
        ensure!(status.success(), "the proxy ended with {status}:\n{said}");
        Ok(said)
    }
}

/// The address in the JSON line that says that it listens.
fn listening_address(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line.get("message")?.as_str()? != "listening" {
        return None;
    }
    line.get("url")?.as_str()?.strip_prefix("http://")?.strip_suffix("/mcp").map(str::to_owned)
}

/// The binary that was built beside this test.
fn binary() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder =
        test.parent().and_then(|folder| folder.parent()).context("the test runs outside of target/")?;
    let binary = folder.join("proxy-bin");
    ensure!(binary.exists(), "{} is missing: run `cargo build --package proxy-bin` first", binary.display());
    Ok(binary)
}
