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

use super::PROXY_KEY;
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

/// An address that is free now; the binary says only in its log which port it took.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
