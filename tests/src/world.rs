//! An emulator, a real asyncmcp server and the proxy, wired together.

use std::net::SocketAddr;

use anyhow::Result;
use testkit::emulator::Emulator;

use crate::{
    fixtures,
    process::Process,
    proxy::{Proxy, Settings},
};

/// Everything that one story needs. It all ends when it is dropped.
#[derive(Debug)]
pub struct World {
    /// The SQS emulator.
    pub emulator: Emulator,
    /// The queue that the server reads.
    pub requests: String,
    /// The queue that the proxy reads.
    pub responses: String,
    /// The server.
    pub server: Process,
    /// The proxy.
    pub proxy: Proxy,
}

impl World {
    /// The usual one.
    pub async fn start() -> Result<Self> {
        Self::with("").await
    }

    /// One whose proxy has more settings, in TOML.
    pub async fn with(more: &str) -> Result<Self> {
        let emulator = Emulator::start().await?;
        let (requests, responses) = queues(&emulator)?;
        let server = fixtures::server(&emulator.endpoint_url(), &requests).await?;
        let proxy = Proxy::start(settings(&emulator, &requests, &responses, more)).await?;
        Ok(Self { emulator, requests, responses, server, proxy })
    }

    /// Settings for another proxy on the same queues.
    pub fn settings(&self, more: &str) -> Settings {
        settings(&self.emulator, &self.requests, &self.responses, more)
    }
}

/// The two queues of a story.
pub fn queues(emulator: &Emulator) -> Result<(String, String)> {
    Ok((emulator.create_queue("requests", &[])?, emulator.create_queue("responses", &[])?))
}

/// Settings for a proxy over an emulator.
pub fn settings(emulator: &Emulator, requests: &str, responses: &str, more: &str) -> Settings {
    Settings {
        endpoint: emulator.endpoint_url(),
        read_queue: requests.to_owned(),
        response_queue: Some(responses.to_owned()),
        port: 0,
        more: more.to_owned(),
    }
}

/// The address in an endpoint's URL.
pub fn address(endpoint: &str) -> Result<SocketAddr> {
    Ok(endpoint.trim_start_matches("http://").trim_end_matches('/').parse()?)
}
