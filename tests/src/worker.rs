//! Our own far end as a process of its own, around a server that is a child of it or reached over HTTP.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    fixtures::SERVERS_ACCESS_KEY,
    http,
    kind::Reached,
    process::Process,
    proxy::{ConfigFile, built},
};

/// What a worker is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where requests come in.
    pub intake: Intake,
    /// What it serves.
    pub server: Server,
    /// More lines of the intake's table.
    pub more_intake: String,
    /// More lines of TOML: first more of `[worker]`, then other tables.
    pub more: String,
}

/// Where requests come in.
#[derive(Debug, Clone)]
pub enum Intake {
    /// A queue, with answers to queues.
    Sqs {
        /// The emulator.
        endpoint: String,
        /// Its URL.
        queue: String,
    },
    /// A queue, with answers to topics.
    SnsSqs {
        /// The emulator.
        endpoint: String,
        /// Its URL.
        queue: String,
    },
    /// A port of this machine.
    Webhook {
        /// Which.
        port: u16,
    },
    /// A port of this machine.
    StreamableHttpWebhook {
        /// Which.
        port: u16,
    },
}

/// The server that a worker serves.
#[derive(Debug, Clone)]
pub enum Server {
    /// A command that speaks stdio.
    Command(Vec<String>),
    /// A URL that speaks Streamable HTTP.
    Url(String),
}

impl Server {
    /// The fixture server as a child, with these arguments.
    pub fn fixture(arguments: &[&str]) -> Result<Self> {
        let program = built("fixture-server", "e2e")?.to_string_lossy().into_owned();
        Ok(Self::Command(
            std::iter::once(program).chain(arguments.iter().map(|&text| text.to_owned())).collect(),
        ))
    }

    /// The fixture server, reached like this. Over HTTP it is a process of its own, which is returned as well.
    pub async fn fixture_reached(reached: Reached, ledger: Option<&Path>) -> Result<(Self, Option<Process>)> {
        let ledger = ledger.map(|path| path.to_string_lossy().into_owned());
        let mut arguments: Vec<&str> = ledger.iter().flat_map(|path| ["--ledger", path]).collect();
        match reached {
            Reached::Stdio => Ok((Self::fixture(&arguments)?, None)),
            Reached::Http => {
                arguments.extend(["--http", "127.0.0.1:0"]);
                let mut command = Command::new(built("fixture-server", "e2e")?);
                let mut process = Process::start("the fixture server", command.args(arguments))?;
                let url = |line: &str| line.starts_with("http://").then(|| line.to_owned());
                let url = process.wait_for("its URL", url).await?;
                Ok((Self::Url(url), Some(process)))
            }
        }
    }
}

impl Settings {
    /// All settings as they are by default.
    pub fn new(intake: Intake, server: Server) -> Self {
        Self { intake, server, more_intake: String::new(), more: String::new() }
    }

    fn to_toml(&self) -> Result<String> {
        let mut text = String::from("[admin]\nlisten = \"127.0.0.1:0\"\n");
        match &self.intake {
            Intake::Sqs { endpoint, queue } => {
                write!(
                    text,
                    "[intake.sqs]\nendpoint_url = {endpoint:?}\nregion = \"us-east-1\"\nqueue_url = {queue:?}\n"
                )?;
            }
            Intake::SnsSqs { endpoint, queue } => {
                write!(
                    text,
                    "[intake.snssqs]\nendpoint_url = {endpoint:?}\nregion = \"us-east-1\"\nqueue_url = {queue:?}\n"
                )?;
            }
            Intake::Webhook { port } => {
                write!(text, "[intake.webhook]\nlisten = \"127.0.0.1:{port}\"\npath = \"/mcp\"\n")?;
            }
            Intake::StreamableHttpWebhook { port } => {
                write!(
                    text,
                    "[intake.streamable_http_webhook]\nlisten = \"127.0.0.1:{port}\"\npath = \"/mcp\"\n"
                )?;
            }
        }
        text.push_str(&self.more_intake);
        match &self.server {
            Server::Command(command) => write!(text, "[worker.server]\ncommand = {command:?}\n")?,
            Server::Url(url) => write!(text, "[worker.server]\nurl = {url:?}\n")?,
        }
        write!(text, "[worker]\n{}", self.more)?;
        Ok(text)
    }
}

/// A running `proxy-bin worker`, with a configuration file and a ledger of its own.
#[derive(Debug)]
pub struct Worker {
    process: Process,
    file: ConfigFile,
    admin: String,
}

impl Worker {
    /// Starts it and waits until it runs.
    pub async fn start(settings: &Settings) -> Result<Self> {
        Self::of(ConfigFile::of(&settings.to_toml()?, SERVERS_ACCESS_KEY)?).await
    }

    async fn of(file: ConfigFile) -> Result<Self> {
        let mut process = Process::start("the worker", &mut file.command("worker")?)?;
        let admin = process.wait_for("where its metrics are", admin_address).await?;
        process.wait_for("that it runs", |line| line.contains("the worker is running").then_some(())).await?;
        Ok(Self { process, file, admin })
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.process.text()
    }

    /// The value of a metric, summed over its labels that contain `labels`.
    pub async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        http::metric(&format!("http://{}/metrics", self.admin), name, labels).await
    }

    /// Ends it at once, as a crash does.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts it again, with the same ledger.
    pub async fn start_again(mut self) -> Result<Self> {
        if self.process.id().is_some() {
            self.kill().await?;
        }
        Self::of(self.file).await
    }

    /// Asks it to drain and waits for its end, which has to be a clean one. Returns its log.
    pub async fn stop(self) -> Result<String> {
        self.process.terminate().await?;
        let (status, said) = self.process.finish().await?;
        anyhow::ensure!(status.success(), "the worker ended with {status}:\n{said}");
        Ok(said)
    }
}

/// The address in the JSON line that says where its metrics are.
fn admin_address(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line.get("message")?.as_str()? != "health and metrics are served" {
        return None;
    }
    line.get("address")?.as_str().map(str::to_owned)
}

/// A port that nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?.local_addr()?.port())
}
