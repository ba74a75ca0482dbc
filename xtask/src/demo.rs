//! `cargo xtask demo`: an emulator, a real asyncmcp server and the proxy, a call through all of it as proof, and then everything
//! stays up until Ctrl-C.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::{Signals, SignalsInfo},
};

use crate::{invocation::Invocation, setup, workspace};

/// How long a part may take to come up.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often it is looked whether the demo should end.
const GLANCE: Duration = Duration::from_millis(100);

/// Runs the demo on this port of 127.0.0.1; with `once` it ends after the proof.
pub(crate) fn run(port: u16, once: bool) -> Result<()> {
    println!("[1/5] installing a real asyncmcp server under target/ and building the proxy");
    setup::asyncmcp()?;
    let programs = [
        "build",
        "--package",
        "proxy-bin",
        "--package",
        "testkit",
        "--bin",
        "proxy-bin",
        "--bin",
        "sqs-emulator",
    ];
    Invocation::cargo(programs).run()?;
    let built = workspace::root().join("target/debug");
    let fixtures = workspace::root().join("tests/fixtures");
    let python = workspace::fixtures().join("asyncmcp/bin/python");

    // From here on there are parts to be ended.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;

    println!("[2/5] starting an SQS emulator");
    let mut emulator = Part::start(
        "the SQS emulator",
        Command::new(built.join("sqs-emulator")).args([
            "--listen",
            "127.0.0.1:0",
            "--queue",
            "requests",
            "--queue",
            "responses",
        ]),
    )?;
    let requests = emulator.wait_for("the URL of a queue", |line| line.starts_with("http"))?;
    let responses = emulator.wait_for("the URL of a queue", |line| line.starts_with("http"))?;
    let endpoint = requests.split('/').take(3).collect::<Vec<_>>().join("/");

    println!("[3/5] starting the asyncmcp server behind the queue");
    let mut server = Part::start(
        "the asyncmcp server",
        Command::new(&python).arg(fixtures.join("server.py")).args([
            "--endpoint-url",
            &endpoint,
            "--read-queue-url",
            &requests,
        ]),
    )?;
    server.wait_for("that it is ready", |line| line == "ready")?;

    println!("[4/5] starting the proxy");
    let set = |key: &str, value: &str| ["--set".to_owned(), format!("backend.sqs.{key}={value}")];
    let mut proxy = Part::start(
        "the proxy",
        Command::new(built.join("proxy-bin"))
            .args(["serve", "--port", &port.to_string()])
            .args(set("endpoint_url", &endpoint))
            .args(set("region", "us-east-1"))
            .args(set("read_queue_url", &requests))
            .args(set("response_queue_url", &responses))
            .env("AWS_ACCESS_KEY_ID", "demo")
            .env("AWS_SECRET_ACCESS_KEY", "demo"),
    )?;
    proxy.wait_for("that it listens", |line| line.contains("listening"))?;

    println!("[5/5] calling a tool with the official Python SDK, through the proxy and the queue");
    let url = format!("http://127.0.0.1:{port}/mcp");
    let said = Invocation::new(&python, [])
        .argument(fixtures.join("client_python.py").to_string_lossy())
        .argument("call")
        .argument(&url)
        .output()?;
    println!("      the server answered: {}", said.trim());
    println!("{}", instructions(&url));
    if once {
        return Ok(());
    }
    println!("It runs until Ctrl-C.");
    let ended = wait_for_end(&mut proxy.child, &mut signals)?;
    if !ended.success() {
        bail!("the proxy ended with {ended}");
    }
    Ok(())
}

/// Waits until the proxy has ended, by itself or because this program was told to: then the other parts are ended as well.
fn wait_for_end(proxy: &mut Child, signals: &mut SignalsInfo) -> Result<ExitStatus> {
    loop {
        if let Some(ended) = proxy.try_wait()? {
            return Ok(ended);
        }
        // A terminal sends Ctrl-C to every part. Anybody else's signal is ours alone, so the proxy is told to drain.
        if signals.pending().any(|signal| signal == SIGTERM) {
            Invocation::new("kill", ["-TERM"]).argument(proxy.id().to_string()).run()?;
        }
        thread::sleep(GLANCE);
    }
}

fn instructions(url: &str) -> String {
    format!(
        r#"
An MCP client reaches it at {url}. What to paste:

  Claude Code   claude mcp add --transport http demo {url}
  Inspector     npx @modelcontextprotocol/inspector --cli {url} --transport http --method tools/list
  an editor     {{ "mcpServers": {{ "demo": {{ "type": "http", "url": "{url}" }} }} }}
"#
    )
}

/// A program that runs beside the demo. Ended when it is dropped.
struct Part {
    name: &'static str,
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Part {
    fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let (sender, lines) = mpsc::sync_channel(1024);
        let outputs = [
            child.stdout.take().map(|output| Box::new(output) as Output),
            child.stderr.take().map(|output| Box::new(output) as Output),
        ];
        for output in outputs.into_iter().flatten() {
            let sender = sender.clone();
            // Reads on when nobody listens any more, so that the part never waits for us.
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    drop(sender.try_send(line));
                }
            });
        }
        Ok(Self { name, child, lines })
    }

    fn wait_for(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> Result<String> {
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if is_it(&line) => return Ok(line),
                Ok(line) => said.push(line),
                Err(_) => bail!("{} did not say {what}:\n{}", self.name, said.join("\n")),
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

type Output = Box<dyn std::io::Read + Send>;
