//! A worker that runs, and what it reads.

use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    measure::{binary, queues::Transport},
    part::Part,
    parts::{Role, far_end::Ready},
};

/// How requests and answers travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Sqs,
    SnsSqs,
    Webhook,
    StreamableHttp,
}

/// The server behind the worker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Server<'url> {
    Url(&'url str),
    /// A child a session.
    Stdio,
}

/// A worker, with a ledger on the disk. Stopped before what it reads.
#[derive(Debug)]
pub(super) struct Started {
    over: Over,
    pub(super) worker: Part,
    /// Where it listens; nothing over queues.
    url: String,
    pub(super) emulator: Option<(Part, Ready)>,
    _ledger: TempDir,
}

impl Over {
    pub(super) const ALL: [Self; 4] = [Self::Sqs, Self::SnsSqs, Self::Webhook, Self::StreamableHttp];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqs => "SQS",
            Self::SnsSqs => "SNS+SQS",
            Self::Webhook => "webhooks",
            Self::StreamableHttp => "Streamable HTTP",
        }
    }

    /// Where it goes over queues.
    pub(super) fn queues(self) -> Option<Transport> {
        match self {
            Self::Sqs => Some(Transport::Sqs),
            Self::SnsSqs => Some(Transport::SnsSqs),
            Self::Webhook | Self::StreamableHttp => None,
        }
    }
}

impl Started {
    pub(super) async fn new(over: Over, proxy: &Path, server: Server<'_>) -> Result<Self> {
        let emulator = match over.queues() {
            Some(_) => Some(Part::start::<Ready>(Role::Emulator, &[])?),
            None => None,
        };
        let listen = binary::free_address()?.to_string();
        let settings = match (over, &emulator) {
            (Over::Sqs, Some((_, ready))) => vec![
                format!("intake.sqs.queue_url={}", ready.requests),
                format!("intake.sqs.endpoint_url={}", ready.endpoint),
            ],
            (_, Some((_, ready))) => vec![
                format!("intake.snssqs.queue_url={}", ready.requests),
                format!("intake.snssqs.endpoint_url={}", ready.endpoint),
            ],
            (Over::Webhook, None) => {
                vec![format!("intake.webhook.listen={listen}"), "intake.webhook.path=/mcp".to_owned()]
            }
            (_, None) => vec![
                format!("intake.streamable_http_webhook.listen={listen}"),
                "intake.streamable_http_webhook.path=/mcp".to_owned(),
            ],
        };
        // beside this program, where there is a disk
        let program = std::env::current_exe()?;
        let ledger = tempfile::tempdir_in(program.parent().context("a program in no folder")?)?;
        let file = ledger.path().join("worker.redb").to_string_lossy().into_owned();
        let mut arguments = vec!["--ledger", &file];
        for setting in &settings {
            arguments.extend(["--set", setting]);
        }
        let program = program.to_string_lossy();
        let command: &[&str] = match server {
            Server::Url(url) => {
                arguments.extend(["--upstream", url]);
                &[]
            }
            Server::Stdio => &[&program, "--part", Role::StdioServer.name()],
        };
        let worker = binary::start_worker(proxy, &arguments, command).await?;
        Ok(Self { over, worker, url: format!("http://{listen}/mcp"), emulator, _ledger: ledger })
    }

    /// A proxy in front of it.
    pub(super) async fn proxy(&self, proxy: &Path) -> Result<(Part, std::net::SocketAddr)> {
        let listen = binary::free_address()?.to_string();
        let settings = match (self.over, self.over.queues().zip(self.emulator.as_ref())) {
            (_, Some((transport, (_, ready)))) => transport.settings(ready),
            (Over::Webhook, None) => {
                vec![("backend.webhook.server_url", &*self.url), ("backend.webhook.listen", &listen)]
            }
            (_, None) => vec![("backend.streamable_http_webhook.server_url", &*self.url)],
        };
        binary::start(proxy, &settings).await
    }

    /// Where it listens, over HTTP.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}
