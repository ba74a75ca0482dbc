//! The server of the demo, and the way to it.

use std::{path::Path, process::Command};

use anyhow::Result;
use clap::ValueEnum;

use super::part::Part;
use crate::workspace;

/// The setting that names the queue of one proxy alone.
pub(super) const RESPONSE_QUEUE: &str = "response_queue_url";

/// What lies between the proxy and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// Two queues
    Sqs,
    /// Two topics, with a queue subscribed to the server's
    Snssqs,
    /// POSTs both ways
    Webhook,
    /// Streamable HTTP, with some answers as POSTs to the proxy
    StreamableHttpWebhook,
}

/// A running server.
#[derive(Debug)]
pub(super) struct FarEnd {
    /// What the proxy has to know: key and value.
    pub(super) settings: Vec<(String, String)>,
    /// They end when they are dropped.
    pub(super) parts: Vec<Part>,
}

impl FarEnd {
    /// Starts the server, and an emulator before it where there is a cloud between.
    pub(super) fn start(backend: Backend, python: &Path, server: &Path) -> Result<Self> {
        let mut far_end = Self { settings: Vec::new(), parts: Vec::new() };
        let over = match backend {
            Backend::Sqs => far_end.queues()?,
            Backend::Snssqs => far_end.topics()?,
            Backend::Webhook => straight("--webhook"),
            Backend::StreamableHttpWebhook => straight("--streamable-http-webhook"),
        };
        println!("[3/5] starting the asyncmcp server");
        let mut part = Part::start("the asyncmcp server", Command::new(python).arg(server).args(over))?;
        match backend {
            Backend::Sqs | Backend::Snssqs => {}
            Backend::Webhook => far_end.listens("webhook", &mut part)?,
            Backend::StreamableHttpWebhook => {
                far_end.listens("streamable_http_webhook", &mut part)?;
                far_end.set("streamable_http_webhook", "webhook_url", "");
            }
        }
        part.wait_for("that it is ready", |line| line == "ready")?;
        far_end.parts.push(part);
        Ok(far_end)
    }

    fn set(&mut self, table: &str, key: &str, value: impl Into<String>) {
        self.settings.push((format!("backend.{table}.{key}"), value.into()));
    }

    /// The server's URL, and for callbacks any port of ours.
    fn listens(&mut self, table: &str, server: &mut Part) -> Result<()> {
        let url = server.wait_for("its URL", |line| line.starts_with("http://"))?;
        self.set(table, "server_url", url);
        self.set(table, "listen", "127.0.0.1:0");
        Ok(())
    }

    /// Two queues. Returns what the server is started with.
    fn queues(&mut self) -> Result<Vec<String>> {
        let mut emulator = emulator("SQS", &["--queue", "requests", "--queue", "responses"])?;
        let requests = emulator.wait_for("the URL of a queue", |line| line.starts_with("http"))?;
        let responses = emulator.wait_for("the URL of a queue", |line| line.starts_with("http"))?;
        self.parts.push(emulator);
        let endpoint = endpoint(&requests);
        self.set("sqs", "endpoint_url", &endpoint);
        self.set("sqs", "region", "us-east-1");
        self.set("sqs", "read_queue_url", &requests);
        self.set("sqs", "response_queue_url", responses);
        Ok(["--endpoint-url", &endpoint, "--read-queue-url", &requests].map(str::to_owned).to_vec())
    }

    /// Two topics, and the server's queue; the proxy creates its own. Returns what the server is started with.
    fn topics(&mut self) -> Result<Vec<String>> {
        let names = ["--queue", "requests", "--topic", "requests", "--topic", "responses"];
        let names: Vec<&str> = names.into_iter().chain(["--subscribe", "requests=requests"]).collect();
        let mut emulator = emulator("SNS and SQS", &names)?;
        let queue = emulator.wait_for("the URL of a queue", |line| line.starts_with("http"))?;
        let requests = emulator.wait_for("the ARN of a topic", |line| line.starts_with("arn:"))?;
        let responses = emulator.wait_for("the ARN of a topic", |line| line.starts_with("arn:"))?;
        self.parts.push(emulator);
        let endpoint = endpoint(&queue);
        self.set("snssqs", "endpoint_url", &endpoint);
        self.set("snssqs", "region", "us-east-1");
        self.set("snssqs", "sns_topic_arn", requests);
        self.set("snssqs", "response_topic_arn", responses);
        Ok(["--endpoint-url", &endpoint, "--sqs-queue-url", &queue].map(str::to_owned).to_vec())
    }
}

/// What a server is started with that nothing stands before.
fn straight(transport: &str) -> Vec<String> {
    println!("[2/5] no emulator is needed");
    [transport, "0"].map(str::to_owned).to_vec()
}

fn emulator(of: &str, names: &[&str]) -> Result<Part> {
    println!("[2/5] starting an emulator of {of}");
    let program = workspace::root().join("target/debug/sqs-emulator");
    Part::start("the emulator", Command::new(program).args(["--listen", "127.0.0.1:0"]).args(names))
}

/// The emulator's own URL: scheme and address of a queue's.
fn endpoint(queue: &str) -> String {
    queue.split('/').take(3).collect::<Vec<_>>().join("/")
}
