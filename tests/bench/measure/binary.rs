//! The binary as operators run it.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{PROXY_KEY, WORKER_KEY};
use crate::part::Part;

/// How long it may take until it serves.
const START: Duration = Duration::from_secs(20);

/// Starts the binary with these settings and waits until it serves. It takes as many sessions as are opened here, and keeps them.
pub(super) async fn start(proxy: &Path, settings: &[(&str, &str)]) -> Result<(Part, SocketAddr)> {
    let address = free_address()?;
    let port = address.port().to_string();
    let settings: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut arguments = vec!["serve", "--port", &port, "--max-sessions", "20000", "--session-timeout", "1h"];
    for setting in &settings {
        arguments.extend(["--set", setting]);
    }
    let variables =
        [("AWS_ACCESS_KEY_ID", PROXY_KEY), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1")];
    let binary = Part::program(proxy, &arguments, &variables)?;
    let give_up = Instant::now() + START;
    while let Err(error) = TcpStream::connect(address).await {
        if Instant::now() > give_up {
            return Err(error).context("the binary does not serve");
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok((binary, address))
}

/// Starts a worker with these arguments before the command that it serves, if it starts one, and waits until it serves. It takes as many
/// sessions as are opened here, and keeps them.
pub(super) async fn start_worker(proxy: &Path, arguments: &[&str], command: &[&str]) -> Result<Part> {
    let admin = free_address()?.to_string();
    let mut all = vec!["worker", "--admin", &admin, "--max-sessions", "20000"];
    all.extend(arguments);
    if !command.is_empty() {
        all.push("--");
        all.extend(command);
    }
    let variables =
        [("AWS_ACCESS_KEY_ID", WORKER_KEY), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1")];
    let worker = Part::program(proxy, &all, &variables)?;
    let ready = format!("http://{admin}/readyz");
    let give_up = Instant::now() + START;
    while !reqwest::get(&ready).await.is_ok_and(|response| response.status().is_success()) {
        anyhow::ensure!(Instant::now() < give_up, "the worker does not get ready");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(worker)
}

/// An address that is free now; the binary says only in its log which port it took.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
