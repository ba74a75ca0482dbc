//! The load generator as a process: runs loads, and keeps sessions and streams open until it ends.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use testkit::load::{Latencies, Load, McpClient, OpenStream, Session, Target};

use super::asked::Asked;
use crate::part::say;

/// What the generator is asked to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Make calls in a closed loop. Answered with [`Calls`].
    Load { address: SocketAddr, is_mcp: bool, connections: usize, warm_up: Duration, duration: Duration },
    /// Open sessions until there are this many, over one connection. Answered with null, as the rest.
    Sessions { address: SocketAddr, count: usize },
    /// Open the stream of this many of the sessions, each over a connection of its own.
    Streams { count: usize },
    /// Make one call in one of the sessions. Answered with its latency.
    Call,
}

/// What came of a load.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Calls {
    /// Those that count, and those of the warm-up.
    pub(crate) made: u64,
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// What is kept open.
#[derive(Debug, Default)]
struct Kept {
    client: Option<(SocketAddr, McpClient)>,
    sessions: Vec<Session>,
    streams: Vec<OpenStream>,
}

pub(super) async fn run() -> Result<()> {
    let mut asked = Asked::listen();
    let mut kept = Kept::default();
    say(&())?;
    while let Some(request) = asked.next().await? {
        match request {
            Request::Load { address, is_mcp, connections, warm_up, duration } => {
                let target = if is_mcp { Target::Mcp } else { Target::BareEcho };
                say(&load(&Load { address, target, connections, warm_up, duration }).await?)?;
            }
            Request::Sessions { address, count } => say(&kept.open_sessions(address, count).await?)?,
            Request::Streams { count } => say(&kept.open_streams(count).await?)?,
            Request::Call => say(&kept.call().await?)?,
        }
    }
    Ok(())
}

async fn load(load: &Load) -> Result<Calls> {
    let report = load.run().await?;
    Ok(Calls::of(report.made, report.latencies, report.elapsed))
}

impl Calls {
    /// All that were made, and the latencies of those that count and were made in this time.
    pub(super) fn of(made: u64, mut latencies: Latencies, time: Duration) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "nobody makes 2^52 calls")]
        let count = latencies.count() as f64;
        let (p50, p99) = (latencies.quantile(0.5), latencies.quantile(0.99));
        Self { made, per_second: count / time.as_secs_f64(), p50, p99 }
    }
}

impl Kept {
    async fn open_sessions(&mut self, address: SocketAddr, count: usize) -> Result<()> {
        let (_, client) = match &mut self.client {
            Some(client) => client,
            none => none.insert((address, McpClient::connect(address).await?)),
        };
        while self.sessions.len() < count {
            self.sessions.push(client.open().await?);
        }
        Ok(())
    }

    async fn open_streams(&mut self, count: usize) -> Result<()> {
        let address = self.client.as_ref().map(|(address, _)| *address);
        let address = address.ok_or_else(|| anyhow::anyhow!("there are no sessions"))?;
        for session in self.sessions.iter().take(count) {
            let client = McpClient::connect(address).await?;
            self.streams.push(client.listen(session).await?);
        }
        Ok(())
    }

    async fn call(&mut self) -> Result<Duration> {
        match (&mut self.client, self.sessions.first_mut()) {
            (Some((_, client)), Some(session)) => Ok(client.call(session).await?),
            _ => anyhow::bail!("there are no sessions"),
        }
    }
}
