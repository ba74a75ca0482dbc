//! The parts of a measurement, each a process.

mod asked;
mod bare_echo;
pub(crate) mod bare_loop;
pub(crate) mod far_end;
pub(crate) mod generator;
mod memory_proxy;
mod served;
mod sqs_proxy;
mod wire;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use tokio::runtime;

/// What a part is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// The proxy over the memory backend with the scripted server.
    MemoryProxy,
    /// A bare axum server that answers with what it gets.
    BareEcho,
    /// The proxy over SQS.
    SqsProxy,
    /// The emulator, and behind it the fastest far end.
    FarEnd,
    /// Instead of load and proxy: the same messages straight over SQS.
    BareLoop,
    /// The load generator.
    Generator,
}

/// What parts are told at their start.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where SQS is
    #[arg(long, hide = true)]
    endpoint: Option<String>,
    /// The URL of the request queue
    #[arg(long, hide = true)]
    requests: Option<String>,
}

impl Arguments {
    fn endpoint(&self) -> Result<&str> {
        self.endpoint.as_deref().context("--endpoint is missing")
    }

    fn requests(&self) -> Result<&str> {
        self.requests.as_deref().context("--requests is missing")
    }
}

impl Role {
    /// The value of `--part`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MemoryProxy => "memory-proxy",
            Self::BareEcho => "bare-echo",
            Self::SqsProxy => "sqs-proxy",
            Self::FarEnd => "far-end",
            Self::BareLoop => "bare-loop",
            Self::Generator => "generator",
        }
    }

    /// What is measured has a runtime as the binary has; the generator is cheaper on one thread.
    fn runtime(self) -> runtime::Builder {
        match self {
            Self::Generator => runtime::Builder::new_current_thread(),
            _ => runtime::Builder::new_multi_thread(),
        }
    }
}

/// Is a part, until standard input closes.
pub(crate) fn run(role: Role, arguments: &Arguments) -> Result<()> {
    let runtime = role.runtime().enable_all().build()?;
    let result = runtime.block_on(async {
        match role {
            Role::MemoryProxy => memory_proxy::run().await,
            Role::BareEcho => bare_echo::run().await,
            Role::SqsProxy => sqs_proxy::run(arguments.endpoint()?, arguments.requests()?).await,
            Role::FarEnd => far_end::run().await,
            Role::BareLoop => bare_loop::run(arguments.endpoint()?, arguments.requests()?).await,
            Role::Generator => generator::run().await,
        }
    });
    runtime.shutdown_background();
    result
}
