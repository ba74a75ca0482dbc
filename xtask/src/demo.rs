//! `cargo xtask demo`: a real asyncmcp server behind any backend, and the proxy; a call through all of it as proof, over HTTP and over
//! stdio, and then everything stays up until Ctrl-C.

mod far_end;
mod part;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, ExitStatus},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use serde_json::json;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::{Signals, SignalsInfo},
};

pub(crate) use self::far_end::Backend;
use self::{
    far_end::{FarEnd, RESPONSE_QUEUE},
    part::Part,
};
use crate::{invocation::Invocation, setup, workspace};

/// How often it is looked whether the demo should end.
const GLANCE: Duration = Duration::from_millis(100);

/// What any emulator takes.
const CREDENTIALS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "demo"), ("AWS_SECRET_ACCESS_KEY", "demo")];

/// Runs the demo on this port of 127.0.0.1; with `once` it ends after the proof.
pub(crate) fn run(backend: Backend, port: u16, once: bool) -> Result<()> {
    println!("[1/5] installing a real asyncmcp server under target/ and building the proxy");
    setup::asyncmcp()?;
    let packages = ["build", "--package", "proxy-bin", "--package", "testkit"];
    let programs = ["--bin", "proxy-bin", "--bin", "sqs-emulator"];
    programs.into_iter().fold(Invocation::cargo(packages), Invocation::argument).run()?;
    let proxy_bin = workspace::root().join("target/debug/proxy-bin");
    let fixtures = workspace::root().join("tests/fixtures");
    let python = workspace::fixtures().join("asyncmcp/bin/python");

    // From here on there are parts to be ended.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let FarEnd { settings, parts } = FarEnd::start(backend, &python, &fixtures.join("server.py"))?;

    println!("[4/5] starting the proxy");
    let mut proxy = Part::start(
        "the proxy",
        Command::new(&proxy_bin)
            .args(["serve", "--port", &port.to_string()])
            .args(flags(&settings))
            .envs(CREDENTIALS),
    )?;
    proxy.wait_for("that it listens", |line| line.contains("listening"))?;

    println!("[5/5] calling a tool with the official Python SDK, through the proxy");
    let url = format!("http://127.0.0.1:{port}/mcp");
    let call = Invocation::new(&python, []).argument(fixtures.join("client_python.py").to_string_lossy());
    let said = call.clone().argument("call").argument(&url).output()?;
    println!("      over HTTP, the server answered: {}", said.trim());
    let stdio = stdio(&proxy_bin, &settings);
    let command = call.argument("call").argument("--stdio");
    let command = stdio.iter().fold(command, Invocation::argument);
    let command =
        CREDENTIALS.iter().fold(command, |command, (name, value)| command.environment(name, *value));
    let said = command.output()?;
    println!("      over stdio, the server answered: {}", said.trim());
    println!("{}", instructions(&url, &stdio));
    if once {
        return Ok(());
    }
    println!("It runs until Ctrl-C.");
    let ended = wait_for_end(&mut proxy.child, &mut signals)?;
    drop(parts);
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

/// The settings as flags of the command line.
fn flags(settings: &[(String, String)]) -> impl Iterator<Item = String> {
    settings.iter().flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")])
}

/// What a desktop client is to start: the settings that create their own way back, so that it disturbs no other proxy.
fn stdio(proxy_bin: &Path, settings: &[(String, String)]) -> Vec<String> {
    let own: Vec<_> = settings.iter().filter(|(key, _)| !key.ends_with(RESPONSE_QUEUE)).cloned().collect();
    let program = [proxy_bin.to_string_lossy().into_owned(), "stdio".to_owned()];
    program.into_iter().chain(flags(&own)).collect()
}

fn instructions(url: &str, stdio: &[String]) -> String {
    let (command, arguments) =
        stdio.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let server = json!({"command": command, "args": arguments, "env": BTreeMap::from(CREDENTIALS)});
    format!(
        r#"
An MCP client reaches it at {url}. What to paste:

  Claude Code   claude mcp add --transport http demo {url}
  Inspector     npx @modelcontextprotocol/inspector --cli {url} --transport http --method tools/list
  an editor     {{ "mcpServers": {{ "demo": {{ "type": "http", "url": "{url}" }} }} }}
  over stdio    {{ "mcpServers": {{ "demo": {server} }} }}
"#
    )
}
