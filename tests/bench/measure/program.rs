//! The binary as operators run it.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use testkit::load::McpClient;
use tokio::time::{Instant, sleep};

use super::{PROXY_KEY, memory::megabytes, progress};
use crate::{
    figure::{Report, Target},
    part::Part,
    parts::{Role, far_end::Ready},
};

const GROUP: &str = "memory";

/// With no session, in MB.
const NO_SESSION: Target = Target::AtMost(17.0);

/// How long it may take until it serves.
const START: Duration = Duration::from_secs(20);

pub(super) async fn measure(proxy: &Path, report: &mut Report) -> Result<()> {
    progress("the binary over the emulator")?;
    let (_far_end, ready): (_, Ready) = Part::start(Role::FarEnd, &[])?;
    // A port that is free now; the binary says only in its log which one it took.
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let (queue, endpoint) = (
        format!("backend.sqs.read_queue_url={}", ready.requests),
        format!("backend.sqs.endpoint_url={}", ready.endpoint),
    );
    let port = address.port().to_string();
    let arguments = ["serve", "--port", &port, "--set", &queue, "--set", &endpoint];
    let variables = [
        ("AWS_ACCESS_KEY_ID", PROXY_KEY),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("RUST_LOG", "error"),
    ];
    let binary = Part::program(proxy, &arguments, &variables)?;
    let give_up = Instant::now() + START;
    let mut client = loop {
        match McpClient::connect(address).await {
            Ok(client) => break client,
            Err(error) if Instant::now() > give_up => return Err(error).context("the binary does not serve"),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    };
    // Its long poll has begun, and what it was started with has been freed.
    sleep(Duration::from_secs(2)).await;
    let idle = megabytes(binary.resident_bytes()?);
    report.add_against(GROUP, "proxy-bin over SQS, no session", idle, "MB", NO_SESSION);
    let mut session = client.open().await?;
    client.call(&mut session).await?;
    report.add(GROUP, "proxy-bin over SQS after a first call", megabytes(binary.resident_bytes()?), "MB");
    Ok(())
}
