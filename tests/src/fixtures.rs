//! What `cargo xtask setup` installed under `target/fixtures`, and how to run it.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::process::Process;

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

/// A real asyncmcp server behind an SQS queue, ready to serve.
pub async fn server(endpoint: &str, read_queue: &str) -> Result<Process> {
    let mut command = python();
    command
        .arg(source("server.py"))
        .args(["--endpoint-url", endpoint, "--read-queue-url", read_queue])
        .env("AWS_ACCESS_KEY_ID", "far")
        .env("AWS_SECRET_ACCESS_KEY", "far");
    let mut process = Process::start("the asyncmcp server", &mut command)?;
    process.wait_for("ready", |line| (line == "ready").then_some(())).await?;
    Ok(process)
}

/// Runs a scenario of the official Python SDK 1.x. Returns what it saw.
pub async fn python_client(scenario: &str, url: &str, more: &[&str]) -> Result<Value> {
    let mut command = python();
    command.arg(source("client_python.py")).args([scenario, url]).args(more);
    report("the Python SDK", &mut command).await
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

/// Runs a client to its end, and reads the JSON object in its last line.
async fn report(name: &str, command: &mut Command) -> Result<Value> {
    let (status, said) = Process::start(name, command)?.finish().await?;
    ensure!(status.success(), "{name} failed:\n{said}");
    let object = said.lines().rev().find(|line| line.starts_with('{'));
    serde_json::from_str(object.with_context(|| format!("{name} reported nothing:\n{said}"))?)
        .with_context(|| format!("{name} reported no JSON:\n{said}"))
}
