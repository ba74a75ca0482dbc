//! What `cargo xtask setup` installed under `target/fixtures`, and how to run it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    kind::Kind,
    process::{PATIENCE, Process},
    worker,
};

/// The access key that the server signs with.
pub const SERVERS_ACCESS_KEY: &str = "far";

/// The project's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn installed(path: &str) -> PathBuf {
    root().join("target/fixtures").join(path)
}

fn source(path: &str) -> PathBuf {
    root().join("tests/fixtures").join(path)
}

/// A command of the Python with asyncmcp and the SDK 1.x.
pub fn python() -> Command {
    Command::new(installed("asyncmcp/bin/python"))
}

/// moto, the second opinion on what SQS does, on a free port. Returns its endpoint.
pub async fn moto() -> Result<(Process, String)> {
    let mut process = Process::start(
        "moto",
        Command::new(installed("asyncmcp/bin/moto_server")).args(["-H", "127.0.0.1", "-p", "0"]),
    )?;
    let endpoint = process
        .wait_for("where it listens", |line| Some(line.split_once("Running on ")?.1.trim().to_owned()))
        .await?;
    Ok((process, endpoint))
}

/// What a server is started for.
#[derive(Debug, Clone)]
pub enum Served {
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
    Http {
        /// How it is spoken to there.
        kind: Kind,
        /// 0 for a free one.
        port: u16,
    },
}

/// A real server, asyncmcp's but for plain Streamable HTTP, ready to serve. Returns its URL as well, empty where it has none.
pub async fn server(served: &Served) -> Result<(Process, String)> {
    let mut command = python();
    command.arg(source("server.py"));
    command.env("AWS_ACCESS_KEY_ID", SERVERS_ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", "secret");
    match served {
        Served::Sqs { endpoint, queue } => {
            command.args(["--endpoint-url", endpoint, "--read-queue-url", queue])
        }
        Served::SnsSqs { endpoint, queue } => {
            command.args(["--endpoint-url", endpoint, "--sqs-queue-url", queue])
        }
        Served::Http { kind, port } => {
            let over = match kind {
                Kind::StreamableHttp => "--http",
                Kind::StreamableHttpWebhook => "--streamable-http-webhook",
                _ => "--webhook",
            };
            command.args([over, &port.to_string()])
        }
    };
    let mut process = Process::start("the server", &mut command)?;
    process.wait_for("ready", |line| (line == "ready").then_some(())).await?;
    let url = process.text().lines().find(|line| line.starts_with("http://")).unwrap_or_default().to_owned();
    Ok((process, url))
}

/// Whether asyncmcp was installed.
pub fn are_installed() -> bool {
    installed("asyncmcp/bin/python").exists()
}

/// asyncmcp's own proxy, on this port of this machine, ready to serve: from this queue of requests to this one of answers.
pub async fn asyncmcp_proxy(endpoint: &str, requests: &str, answers: &str, port: u16) -> Result<Process> {
    let mut command = python();
    command.arg(source("proxy_asyncmcp.py")).args([endpoint, requests, answers, &port.to_string()]);
    let mut process = Process::start("asyncmcp's proxy", &mut command)?;
    process.wait_for("that it runs", |line| line.contains("Uvicorn running on").then_some(())).await?;
    Ok(process)
}

/// A server of the Model Context Protocol project that is published on npm, with these arguments.
pub fn node_server(name: &str, arguments: &[&str]) -> worker::Server {
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    // the Node that the conformance suite brings: the machine's own may be too old
    let node = path(installed("conformance/node_modules/.bin/node"));
    let program =
        path(installed(&format!("servers/node_modules/@modelcontextprotocol/{name}/dist/index.js")));
    let arguments = arguments.iter().map(|&argument| argument.to_owned());
    worker::Server::Command([node, program].into_iter().chain(arguments).collect())
}

/// The project's server that is published for Python.
pub fn time_server() -> worker::Server {
    let program = installed("time/bin/mcp-server-time").to_string_lossy().into_owned();
    worker::Server::Command(vec![program, "--local-timezone".to_owned(), "UTC".to_owned()])
}

/// Runs a scenario of the official Python SDK 1.x over stdio, with this command as the server.
pub async fn python_stdio_client(scenario: &str, more: &[&str], server: &Command) -> Result<Value> {
    let mut command = python();
    command.arg(source("client_python.py")).arg(scenario).args(more).arg("--stdio");
    let server = server.as_std();
    command.arg(server.get_program()).args(server.get_args());
    command.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    report("the Python SDK", &mut command).await
}

/// Runs a scenario of the official Python SDK 1.x. Returns what it saw.
pub async fn python_client(scenario: &str, url: &str, more: &[&str]) -> Result<Value> {
    let mut command = python();
    command.arg(source("client_python.py")).args([scenario, url]).args(more);
    report("the Python SDK", &mut command).await
}

/// Runs asyncmcp's own client straight at the server, without a proxy.
pub async fn asyncmcp_client(arguments: &[&str]) -> Result<Value> {
    let mut command = python();
    command.arg(source("client_asyncmcp.py")).args(arguments);
    report("asyncmcp's client", &mut command).await
}

/// The settings of asyncmcp's own proxy for each transport, as TOML.
pub async fn asyncmcp_settings() -> Result<Value> {
    report("asyncmcp's settings", python().arg(source("settings_asyncmcp.py"))).await
}

/// Runs the official Python SDK 2.x, which tries the modern era first.
pub async fn python2_client(url: &str) -> Result<Value> {
    let mut command = Command::new(installed("mcp2/bin/python"));
    command.arg(source("client_mcp2.py")).arg(url);
    report("the Python SDK 2", &mut command).await
}

/// Runs a scenario of the official TypeScript SDK 1.x.
pub async fn typescript_client(scenario: &str, url: &str, more: &[&str]) -> Result<Value> {
    let mut command = Command::new("node");
    command.arg(source("client_typescript.mjs")).args([scenario, url]).args(more);
    report("the TypeScript SDK", &mut command).await
}

/// Runs a release of the official conformance suite with these arguments. Returns whether it was satisfied, and what it said.
pub async fn conformance(release: &str, arguments: &[&str]) -> Result<(bool, String)> {
    // Both run on the Node that the newer one brings: the machine's own may be too old.
    let mut command = Command::new(installed("conformance/node_modules/.bin/node"));
    let suite = installed(release).join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    command.arg(suite).args(arguments);
    let (status, said) = Process::start("the conformance suite", &mut command)?.finish().await?;
    Ok((status.success(), said))
}

/// Runs a method of the official Inspector's command line, with a server of a desktop client's configuration. Returns the result.
pub async fn inspector(configuration: &Path, server: &str, arguments: &[&str]) -> Result<Value> {
    let mut command = Command::new(installed("conformance/node_modules/.bin/node"));
    command.arg(installed("conformance/node_modules/@modelcontextprotocol/inspector-cli/build/cli.js"));
    command.arg("--cli").arg("--config").arg(configuration).args(["--server", server]).args(arguments);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await.context("the Inspector does not end")??;
    let (said, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "the Inspector failed:\n{said}\n{log}");
    serde_json::from_str(&said).with_context(|| format!("no JSON: {said}"))
}

/// Runs a client to its end, and reads the JSON object in its last line.
async fn report(name: &str, command: &mut Command) -> Result<Value> {
    let (status, said) = Process::start(name, command)?.finish().await?;
    ensure!(status.success(), "{name} failed:\n{said}");
    let object = said.lines().rev().find(|line| line.starts_with('{'));
    serde_json::from_str(object.with_context(|| format!("{name} reported nothing:\n{said}"))?)
        .with_context(|| format!("{name} reported no JSON:\n{said}"))
}
