//! What is measured.

mod asyncmcp;
mod binary;
mod comparison;
mod http;
mod hybrid;
mod memory;
mod program;
mod queues;
mod webhook;
mod worker;

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::Result;
use clap::ValueEnum;

use self::queues::Transport;
use crate::{figure::Report, plan::Plan};

/// The access key that the proxy signs with.
pub(crate) const PROXY_KEY: &str = "proxy";

/// The access key that the worker signs with.
pub(crate) const WORKER_KEY: &str = "worker";

/// A group of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measured {
    /// Calls a second and latency over the memory backend, beside a bare echo
    Http,
    /// Memory by sessions and streams
    Memory,
    /// Memory of the binary itself
    Program,
    /// Calls a second and latency in front of a Streamable HTTP server, beside going there directly
    Hybrid,
    /// Calls a second and latency over webhooks
    Webhook,
    /// API calls, throughput and idle times over SQS
    Sqs,
    /// The same over SNS and SQS
    Snssqs,
    /// The worker: the whole way through it, alone, and its memory
    Worker,
    /// asyncmcp's own proxy beside this one
    Asyncmcp,
}

impl Measured {
    pub(crate) const ALL: [Self; 9] = [
        Self::Http,
        Self::Hybrid,
        Self::Webhook,
        Self::Sqs,
        Self::Snssqs,
        Self::Worker,
        Self::Asyncmcp,
        Self::Memory,
        Self::Program,
    ];

    pub(crate) async fn run(self, plan: &Plan, proxy: Option<&Path>, report: &mut Report) -> Result<()> {
        match (self, proxy) {
            (Self::Http, _) => http::measure(plan, report),
            (Self::Memory, proxy) => memory::measure(plan, proxy, report).await,
            (Self::Program, Some(proxy)) => program::measure(proxy, report).await,
            (Self::Hybrid, Some(proxy)) => hybrid::measure(proxy, plan, report).await,
            (Self::Webhook, Some(proxy)) => webhook::measure(proxy, plan, report).await,
            (Self::Sqs, Some(proxy)) => queues::measure(Transport::Sqs, proxy, plan, report).await,
            (Self::Snssqs, Some(proxy)) => queues::measure(Transport::SnsSqs, proxy, plan, report).await,
            (Self::Worker, Some(proxy)) => worker::measure(proxy, plan, report).await,
            (Self::Asyncmcp, Some(proxy)) => asyncmcp::measure(proxy, plan, report).await,
            (left_out, None) => progress(format!("{left_out:?} is left out: there is no --proxy")),
        }
    }
}

/// Says on standard error what takes a while now.
fn progress(what: impl AsRef<str>) -> Result<()> {
    Ok(writeln!(io::stderr(), "… {}", what.as_ref())?)
}

/// The middle one, the mean of both where there are two; not a number where there is none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (_, None) => f64::NAN,
        (0, Some(upper)) => f64::midpoint(values[middle - 1], *upper),
        (_, Some(value)) => *value,
    }
}

fn milliseconds(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}
