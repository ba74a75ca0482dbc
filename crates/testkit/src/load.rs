//! A load generator for Streamable HTTP: a closed loop over keep-alive connections, each with a session of its own.
//!
//! It is far cheaper than what it loads, so it uses no HTTP library but a parser of heads, and checks every id and every text
//! all the same. A response may be JSON or server-sent events, with a length or in chunks.

mod connection;
mod echo;
mod latencies;
mod mcp;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use self::echo::EchoClient;
pub use self::{
    latencies::Latencies,
    mcp::{McpClient, OpenStream, Session},
};

/// How long an answer may take before the whole run fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is on the other side, and so what is sent and how answers are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// An MCP server with the tool `echo`: `initialize`, `notifications/initialized`, then calls.
    Mcp,
    /// A server that answers every POST with its body: the same requests without an MCP session.
    BareEcho,
}

/// A closed loop: every connection sends its next call once it has the answer to the one before.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Where the server listens.
    pub address: SocketAddr,
    /// What the server is. Its endpoint is `/mcp`.
    pub target: Target,
    /// How many connections there are, each with one call in flight.
    pub connections: usize,
    /// How long calls are made before they count.
    pub warm_up: Duration,
    /// How long calls are made that count.
    pub duration: Duration,
}

/// What came of a [`Load`].
#[derive(Debug)]
pub struct LoadReport {
    /// All calls that were answered, those that do not count included.
    pub made: u64,
    /// How long calls counted.
    pub elapsed: Duration,
    /// The latency of every call that counts.
    pub latencies: Latencies,
}

/// Why a run is worth nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A connection could not be made, or broke.
    #[error("the connection broke")]
    Connection(#[from] io::Error),
    /// What came is no HTTP/1.1 that this reader knows.
    #[error("the response is not HTTP/1.1: {0}")]
    Http(&'static str),
    /// Another status than the request asks for.
    #[error("the status is {got}, where {expected} should be: {body}")]
    Status {
        /// The status that came.
        got: u16,
        /// The one that should have come.
        expected: u16,
        /// The beginning of the body that came with it.
        body: String,
    },
    /// The answer to something else, or none at all.
    #[error("a wrong answer: {0}")]
    Answer(String),
    /// No answer came in time.
    #[error("no answer came within {PATIENCE:?}")]
    Silence,
}

impl Load {
    /// Makes the calls. The first thing that goes wrong on any connection fails the whole run.
    pub async fn run(&self) -> Result<LoadReport, LoadError> {
        let mut opening = JoinSet::new();
        for _ in 0..self.connections {
            let load = *self;
            opening.spawn(async move { Caller::open(load.address, load.target).await });
        }
        let mut callers = Vec::with_capacity(self.connections);
        while let Some(opened) = opening.join_next().await {
            callers.push(opened.map_err(io::Error::other)??);
        }
        let start = Instant::now() + self.warm_up;
        let end = start + self.duration;
        let mut calling = JoinSet::new();
        for caller in callers {
            calling.spawn(caller.call_until(start, end));
        }
        let mut report = LoadReport { made: 0, elapsed: self.duration, latencies: Latencies::default() };
        while let Some(ended) = calling.join_next().await {
            let (made, latencies) = ended.map_err(io::Error::other)??;
            report.made += made;
            report.latencies.merge(latencies);
        }
        Ok(report)
    }
}

impl LoadReport {
    /// Answers a second.
    pub fn calls_per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "nobody makes 2^52 calls")]
        let calls = self.latencies.count() as f64;
        calls / self.elapsed.as_secs_f64()
    }
}

/// One connection of a load.
#[derive(Debug)]
enum Caller {
    Mcp(McpClient, Session),
    BareEcho(EchoClient),
}

impl Caller {
    async fn open(address: SocketAddr, target: Target) -> Result<Self, LoadError> {
        Ok(match target {
            Target::Mcp => {
                let mut client = McpClient::connect(address).await?;
                let session = client.open().await?;
                Self::Mcp(client, session)
            }
            Target::BareEcho => Self::BareEcho(EchoClient::connect(address).await?),
        })
    }

    async fn call(&mut self) -> Result<Duration, LoadError> {
        match self {
            Self::Mcp(client, session) => client.call(session).await,
            Self::BareEcho(client) => client.call().await,
        }
    }

    /// Returns how many calls it made, and the latencies of those between start and end.
    async fn call_until(mut self, start: Instant, end: Instant) -> Result<(u64, Latencies), LoadError> {
        let (mut made, mut latencies) = (0, Latencies::default());
        loop {
            let latency = timeout(PATIENCE, self.call()).await.map_err(|_| LoadError::Silence)??;
            made += 1;
            let now = Instant::now();
            if now >= end {
                break;
            }
            if now >= start {
                latencies.record(latency);
            }
        }
        if let Self::Mcp(client, session) = &mut self {
            client.end(session).await?;
        }
        Ok((made, latencies))
    }
}
