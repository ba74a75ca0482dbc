//! The binary under test, as a process of its own.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{backend::Backend, http, process::Process};

/// The access key that the proxy signs with.
pub const ACCESS_KEY: &str = "proxy";

/// A running `proxy-bin serve`, with a configuration file of its own.
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    address: String,
    settings: Settings,
    _file: ConfigFile,
}

/// What a proxy is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The way to the server.
    pub backend: Backend,
    /// Where to listen; port 0 for a free one.
    pub port: u16,
    /// More lines of TOML: first more of the backend's table, then other tables.
    pub more: String,
}

impl Settings {
    /// With a free port.
    pub fn new(backend: Backend, more: &str) -> Self {
        Self { backend, port: 0, more: more.to_owned() }
    }

    /// Writes them to a file in a folder of its own.
    pub fn write(&self) -> Result<ConfigFile> {
        let Self { backend, port, more } = self;
        ConfigFile::of(&format!("[server]\nport = {port}\n{}{more}", backend.to_toml()), ACCESS_KEY)
    }
}

/// A configuration file. It goes when it is dropped.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    folder: TempDir,
    access_key: &'static str,
}

impl ConfigFile {
    /// One with this text, for a program that signs with this key.
    pub fn of(text: &str, access_key: &'static str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("proxy.toml");
        std::fs::write(&path, text)?;
        Ok(Self { path, folder, access_key })
    }

    /// `proxy-bin COMMAND --config FILE`, with credentials for an emulator.
    pub fn command(&self, command: &str) -> Result<Command> {
        let mut program = Command::new(binary()?);
        program.arg(command).arg("--config").arg(&self.path);
        program.env("AWS_ACCESS_KEY_ID", self.access_key).env("AWS_SECRET_ACCESS_KEY", "secret");
        program
            .env("RUST_LOG", "info,proxy_core=debug,worker=debug")
            .env("XDG_STATE_HOME", self.folder.path());
        Ok(program)
    }
}

impl Proxy {
    /// Starts it and waits until it says where it listens.
    pub async fn start(settings: Settings) -> Result<Self> {
        let file = settings.write()?;
        let mut process = Process::start("the proxy", &mut file.command("serve")?)?;
        let address = process.wait_for("where it listens", listening_address).await?;
        Ok(Self { process, address, settings, _file: file })
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
        http::metric(&self.at("/metrics"), name, labels).await
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
pub fn binary() -> Result<PathBuf> {
    built("proxy-bin", "proxy-bin")
}

/// A program that was built beside this test.
pub fn built(name: &str, package: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder =
        test.parent().and_then(|folder| folder.parent()).context("the test runs outside of target/")?;
    let binary = folder.join(name);
    ensure!(binary.exists(), "{} is missing: run `cargo build --package {package}` first", binary.display());
    Ok(binary)
}
