//! The parts of a measurement, each a process.

mod asked;
mod bare_echo;
mod bare_loop;
pub(crate) mod far_end;
pub(crate) mod generator;
pub(crate) mod in_flight;
mod listening;
mod memory_proxy;
mod message;
mod pipes;
mod posts;
pub(crate) mod requests;
mod served;
pub(crate) mod session_loop;
mod stdio_server;
mod streamable_server;
mod webhook_loop;
mod webhook_server;
mod wire;

use anyhow::Result;
use clap::ValueEnum;
use tokio::runtime;

/// What a part is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// The proxy over the memory backend with the scripted server.
    MemoryProxy,
    /// A bare axum server that answers with what it gets.
    BareEcho,
    /// The emulator, and behind it the fastest far end.
    FarEnd,
    /// The emulator alone.
    Emulator,
    /// Instead of load and proxy: the same messages straight over queues and topics.
    BareLoop,
    /// A fast Streamable HTTP server.
    StreamableServer,
    /// A fast server over webhooks.
    WebhookServer,
    /// Instead of load and proxy: the same messages straight to that server.
    WebhookLoop,
    /// A fast server on its standard input and output.
    StdioServer,
    /// The load straight into the pipes of such servers.
    Pipes,
    /// A load of one session, for proxies that have only one.
    SessionLoop,
    /// The load generator.
    Generator,
}

/// What parts are told at their start.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Where the emulator is
    #[arg(long, hide = true, default_value = "")]
    endpoint: String,
    /// The queue or topic that requests go to
    #[arg(long, hide = true, default_value = "")]
    to: String,
    /// The queue or topic that answers are to go to
    #[arg(long, hide = true, default_value = "")]
    reply_to: String,
    /// The queue that answers are read from
    #[arg(long, hide = true, default_value = "")]
    replies: String,
    /// The server that requests are posted to
    #[arg(long, hide = true, default_value = "")]
    server_url: String,
    /// Answer in server-sent events
    #[arg(long, hide = true)]
    events: bool,
}

impl Role {
    /// The value of `--part`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MemoryProxy => "memory-proxy",
            Self::BareEcho => "bare-echo",
            Self::FarEnd => "far-end",
            Self::Emulator => "emulator",
            Self::BareLoop => "bare-loop",
            Self::StreamableServer => "streamable-server",
            Self::WebhookServer => "webhook-server",
            Self::WebhookLoop => "webhook-loop",
            Self::StdioServer => "stdio-server",
            Self::Pipes => "pipes",
            Self::SessionLoop => "session-loop",
            Self::Generator => "generator",
        }
    }

    /// What is measured has a runtime as the binary has; loads, and what needs none, are cheaper on one thread.
    fn runtime(self) -> runtime::Builder {
        match self {
            Self::Generator | Self::Pipes | Self::SessionLoop | Self::StdioServer => {
                runtime::Builder::new_current_thread()
            }
            _ => runtime::Builder::new_multi_thread(),
        }
    }
}

/// Is a part, until standard input closes.
pub(crate) fn run(role: Role, arguments: &Arguments) -> Result<()> {
    let runtime = role.runtime().enable_all().build()?;
    let Arguments { endpoint, to, reply_to, replies, server_url, events } = arguments;
    let result = runtime.block_on(async {
        match role {
            Role::MemoryProxy => memory_proxy::run().await,
            Role::BareEcho => bare_echo::run().await,
            Role::FarEnd => far_end::run(true).await,
            Role::Emulator => far_end::run(false).await,
            Role::BareLoop => bare_loop::run(endpoint, to, reply_to, replies).await,
            Role::StreamableServer => streamable_server::run(*events).await,
            Role::WebhookServer => webhook_server::run().await,
            Role::WebhookLoop => webhook_loop::run(server_url).await,
            Role::StdioServer => stdio_server::run(),
            Role::Pipes => pipes::run().await,
            Role::SessionLoop => session_loop::run(server_url).await,
            Role::Generator => generator::run().await,
        }
    });
    runtime.shutdown_background();
    result
}
