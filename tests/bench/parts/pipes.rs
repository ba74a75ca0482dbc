//! What a server on pipes can carry: calls straight into standard input, one in flight a server.

use std::{env, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use testkit::load::Latencies;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinSet,
    time::Instant,
};

use super::{
    Role,
    asked::Asked,
    generator::Calls,
    in_flight::Request,
    message::Message,
    requests::{INITIALIZED, Kind, initialize},
};
use crate::part::say;

/// A server, and its pipes.
struct Server {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// Asked [`Request`]s, it answers with [`Calls`].
pub(super) async fn run() -> Result<()> {
    say(&())?;
    let mut asked = Asked::listen();
    while let Some(request) = asked.next().await? {
        say(&measure(request).await?)?;
    }
    Ok(())
}

async fn measure(request: Request) -> Result<Calls> {
    let Request { in_flight, kind, warm_up, duration } = request;
    let mut servers = Vec::new();
    for _ in 0..in_flight {
        servers.push(Server::start().await?);
    }
    let start = Instant::now() + warm_up;
    let end = start + duration;
    let mut calling = JoinSet::new();
    for server in servers {
        calling.spawn(server.call_until(kind, start, end));
    }
    let (mut made, mut latencies) = (0, Latencies::default());
    while let Some(ended) = calling.join_next().await {
        let (of_one, latencies_of_one) = ended??;
        made += of_one;
        latencies.merge(latencies_of_one);
    }
    Ok(Calls::of(made, latencies, duration))
}

impl Server {
    async fn start() -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args(["--part", Role::StdioServer.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let (input, output) = input.zip(output).context("a child without pipes")?;
        let mut server = Self { _process: process, input, output: BufReader::new(output).lines() };
        server.ask("0", initialize("0", r#""_meta":{}"#)).await?;
        server.input.write_all(format!("{INITIALIZED}\n").as_bytes()).await?;
        Ok(server)
    }

    /// Returns how many calls it made, and the latencies of those between start and end.
    async fn call_until(mut self, kind: Kind, start: Instant, end: Instant) -> Result<(u64, Latencies)> {
        let (mut made, mut latencies) = (0, Latencies::default());
        while Instant::now() < end {
            made += 1;
            let id = made.to_string();
            let request = kind.request(&id, made);
            let begin = Instant::now();
            self.ask(&id, request).await?;
            if (start..end).contains(&Instant::now()) {
                latencies.record(begin.elapsed());
            }
        }
        Ok((made, latencies))
    }

    async fn ask(&mut self, id: &str, request: String) -> Result<()> {
        self.input.write_all((request + "\n").as_bytes()).await?;
        let answer = self.output.next_line().await?.context("the server ended")?;
        ensure!(Message::parse(answer.as_bytes())?.id() == Some(id), "another answer than to {id}: {answer}");
        Ok(())
    }
}
