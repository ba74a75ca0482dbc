//! A real asyncmcp server and the proxy, wired together, with an emulator between them where there is a cloud.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use testkit::emulator::Emulator;

use crate::{
    backend::Backend,
    fixtures::{self, Served},
    kind::Kind,
    process::Process,
    proxy::{Proxy, Settings},
    topics::{Topics, create_queue},
};

/// Everything that one story needs. It all ends when it is dropped.
#[derive(Debug)]
pub struct World {
    /// The server, and the way to it.
    pub far_end: FarEnd,
    /// The proxy.
    pub proxy: Proxy,
}

impl World {
    /// One whose proxy has all settings as they are by default.
    pub async fn of(kind: Kind) -> Result<Self> {
        Self::with(kind, "").await
    }

    /// One whose proxy has more settings, in TOML.
    pub async fn with(kind: Kind, more: &str) -> Result<Self> {
        let far_end = FarEnd::start(kind).await?;
        let proxy = Proxy::start(far_end.settings(more)).await?;
        Ok(Self { far_end, proxy })
    }
}

/// A server, and the way to it: a world without a proxy.
#[derive(Debug)]
pub struct FarEnd {
    emulator: Option<Emulator>,
    place: Served,
    /// What a proxy has to know.
    pub backend: Backend,
    /// The server.
    pub server: Process,
}

impl FarEnd {
    /// Starts it.
    pub async fn start(kind: Kind) -> Result<Self> {
        Self::serving(kind, "requests").await
    }

    /// Starts it behind a FIFO request queue or topic. The way back is a standard one.
    pub async fn start_fifo(kind: Kind) -> Result<Self> {
        Self::serving(kind, "requests.fifo").await
    }

    async fn serving(kind: Kind, requests: &str) -> Result<Self> {
        match kind {
            Kind::Sqs => {
                let emulator = Emulator::start().await?;
                let endpoint = emulator.endpoint_url();
                let queue = create_queue(&endpoint, requests).await?;
                let responses = create_queue(&endpoint, "responses").await?;
                let backend = settings(&emulator, &queue, &responses, "").backend;
                Self::behind(emulator, Served::Sqs { endpoint, queue }, backend).await
            }
            Kind::SnsSqs => {
                let emulator = Emulator::start().await?;
                let topics = Topics::create(&emulator.endpoint_url(), requests, true).await?;
                let place =
                    Served::SnsSqs { endpoint: emulator.endpoint_url(), queue: topics.requests.clone() };
                Self::behind(emulator, place, topics.into()).await
            }
            Kind::Webhook | Kind::StreamableHttpWebhook | Kind::StreamableHttp => {
                let (server, server_url) = fixtures::server(&Served::Http { kind, port: 0 }).await?;
                let place = Served::Http { kind, port: address(&server_url)?.port() };
                let backend = if kind == Kind::Webhook {
                    Backend::Webhook { server_url }
                } else {
                    Backend::StreamableHttpWebhook {
                        server_url,
                        has_callback: kind == Kind::StreamableHttpWebhook,
                    }
                };
                Ok(Self { emulator: None, place, backend, server })
            }
        }
    }

    async fn behind(emulator: Emulator, place: Served, backend: Backend) -> Result<Self> {
        let (server, _) = fixtures::server(&place).await?;
        Ok(Self { emulator: Some(emulator), place, backend, server })
    }

    /// The emulator, where messages go through one.
    pub fn emulator(&self) -> Result<&Emulator> {
        self.emulator.as_ref().context("there is no emulator in this world")
    }

    /// Another path on the server's port.
    pub fn at(&self, path: &str) -> Result<String> {
        Ok(format!("http://{}{path}", address(self.backend.url())?))
    }

    /// Settings of a proxy in front of it.
    pub fn settings(&self, more: &str) -> Settings {
        Settings::new(self.backend.clone(), more)
    }

    /// Starts the server again where it was. It knows nothing of its sessions any more.
    pub async fn restart_server(&mut self) -> Result<()> {
        if self.server.id().is_some() {
            self.server.kill().await?;
        }
        self.server = fixtures::server(&self.place).await?.0;
        Ok(())
    }
}

impl From<Topics> for Backend {
    fn from(topics: Topics) -> Self {
        let Topics { endpoint, request_topic, response_topic, responses, requests: _ } = topics;
        Self::SnsSqs { endpoint, request_topic, response_topic, response_queue: Some(responses) }
    }
}

/// The two queues of a story over SQS.
pub fn queues(emulator: &Emulator) -> Result<(String, String)> {
    Ok((emulator.create_queue("requests", &[])?, emulator.create_queue("responses", &[])?))
}

/// Settings for a proxy over SQS on an emulator.
pub fn settings(emulator: &Emulator, requests: &str, responses: &str, more: &str) -> Settings {
    let backend = Backend::Sqs {
        endpoint: emulator.endpoint_url(),
        read_queue: requests.to_owned(),
        response_queue: Some(responses.to_owned()),
    };
    Settings::new(backend, more)
}

/// The address in a URL.
pub fn address(url: &str) -> Result<SocketAddr> {
    let authority = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    authority.parse().with_context(|| format!("no address in {url}"))
}
