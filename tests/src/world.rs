//! A real server, asyncmcp's or one behind our worker, and the proxy, wired together, with an emulator between them where there is a cloud.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use testkit::emulator::Emulator;

use crate::{
    backend::Backend,
    fixtures::{self, Served},
    kind::{Kind, Transport},
    process::Process,
    proxy::{Proxy, Settings},
    topics::{Topics, create_queue},
    worker::{self, Intake, Worker},
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
    /// What a proxy has to know.
    pub backend: Backend,
    /// What takes requests.
    pub server: Server,
    /// What a worker reaches over HTTP.
    _behind: Option<Process>,
}

/// What takes requests.
#[derive(Debug)]
pub enum Server {
    /// asyncmcp's server, or the SDK's over plain HTTP, and where it is.
    Python(Process, Served),
    /// Our worker.
    Worker(Box<Worker>, worker::Settings),
}

impl Server {
    async fn python(place: Served) -> Result<Self> {
        Ok(Self::Python(fixtures::server(&place).await?.0, place))
    }

    async fn worker(settings: worker::Settings) -> Result<Self> {
        Ok(Self::Worker(Box::new(Worker::start(&settings).await?), settings))
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        match self {
            Self::Python(process, _) => process,
            Self::Worker(worker, _) => worker.process(),
        }
    }

    /// Ends it at once, as a crash does.
    pub async fn kill(&mut self) -> Result<()> {
        self.process().kill().await
    }

    /// Starts it where it was.
    async fn again(self) -> Result<Self> {
        match self {
            Self::Python(mut process, place) => {
                if process.id().is_some() {
                    process.kill().await?;
                }
                Self::python(place).await
            }
            Self::Worker(worker, settings) => {
                Ok(Self::Worker(Box::new(worker.start_again().await?), settings))
            }
        }
    }
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
        if let Kind::Worker(transport, reached) = kind {
            let (server, behind) = worker::Server::fixture_reached(reached, None).await?;
            let far_end = Self::of_worker(transport, server, requests, "").await?;
            return Ok(Self { _behind: behind, ..far_end });
        }
        match kind.transport() {
            Transport::Sqs => {
                let (emulator, backend, queue) = sqs(requests).await?;
                let place = Served::Sqs { endpoint: emulator.endpoint_url(), queue };
                Ok(Self::behind(Some(emulator), Server::python(place).await?, backend))
            }
            Transport::SnsSqs => {
                let (emulator, backend, queue) = snssqs(requests).await?;
                let place = Served::SnsSqs { endpoint: emulator.endpoint_url(), queue };
                Ok(Self::behind(Some(emulator), Server::python(place).await?, backend))
            }
            transport => {
                let (server, server_url) = fixtures::server(&Served::Http { kind, port: 0 }).await?;
                let place = Served::Http { kind, port: address(&server_url)?.port() };
                let backend = over_http(transport, server_url, kind != Kind::StreamableHttp);
                Ok(Self::behind(None, Server::Python(server, place), backend))
            }
        }
    }

    /// A worker behind this transport, around this server, with more of its `[worker]` table.
    pub async fn around(transport: Transport, server: worker::Server, more: &str) -> Result<Self> {
        Self::of_worker(transport, server, "requests", more).await
    }

    async fn of_worker(
        transport: Transport,
        server: worker::Server,
        requests: &str,
        more: &str,
    ) -> Result<Self> {
        let (emulator, backend, intake) = match transport {
            Transport::Sqs => {
                let (emulator, backend, queue) = sqs(requests).await?;
                let endpoint = emulator.endpoint_url();
                (Some(emulator), backend, Intake::Sqs { endpoint, queue })
            }
            Transport::SnsSqs => {
                let (emulator, backend, queue) = snssqs(requests).await?;
                let endpoint = emulator.endpoint_url();
                (Some(emulator), backend, Intake::SnsSqs { endpoint, queue })
            }
            transport => {
                let port = worker::free_port()?;
                let backend = over_http(transport, format!("http://127.0.0.1:{port}/mcp"), true);
                let is_webhook = transport == Transport::Webhook;
                let intake = if is_webhook {
                    Intake::Webhook { port }
                } else {
                    Intake::StreamableHttpWebhook { port }
                };
                (None, backend, intake)
            }
        };
        let settings = worker::Settings { more: more.to_owned(), ..worker::Settings::new(intake, server) };
        Ok(Self::behind(emulator, Server::worker(settings).await?, backend))
    }

    fn behind(emulator: Option<Emulator>, server: Server, backend: Backend) -> Self {
        Self { emulator, backend, server, _behind: None }
    }

    /// The emulator, where messages go through one.
    pub fn emulator(&self) -> Result<&Emulator> {
        self.emulator.as_ref().context("there is no emulator in this world")
    }

    /// The worker, where it is one.
    pub fn worker(&mut self) -> Result<&mut Worker> {
        match &mut self.server {
            Server::Worker(worker, _) => Ok(worker),
            Server::Python(..) => bail!("there is no worker in this world"),
        }
    }

    /// Starts another worker on the same queue.
    pub async fn another_worker(&self) -> Result<Worker> {
        match &self.server {
            Server::Worker(_, settings) => Worker::start(settings).await,
            Server::Python(..) => bail!("there is no worker in this world"),
        }
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
    pub async fn restart_server(self) -> Result<Self> {
        Ok(Self { server: self.server.again().await?, ..self })
    }
}

/// An emulator with two queues, what a proxy has to know of them, and the queue of requests.
async fn sqs(requests: &str) -> Result<(Emulator, Backend, String)> {
    let emulator = Emulator::start().await?;
    let endpoint = emulator.endpoint_url();
    let queue = create_queue(&endpoint, requests).await?;
    let responses = create_queue(&endpoint, "responses").await?;
    let backend = settings(&emulator, &queue, &responses, "").backend;
    Ok((emulator, backend, queue))
}

/// An emulator with two topics, what a proxy has to know of them, and the queue of requests.
async fn snssqs(requests: &str) -> Result<(Emulator, Backend, String)> {
    let emulator = Emulator::start().await?;
    let topics = Topics::create(&emulator.endpoint_url(), requests, true).await?;
    let queue = topics.requests.clone();
    Ok((emulator, topics.into(), queue))
}

fn over_http(transport: Transport, server_url: String, has_callback: bool) -> Backend {
    if transport == Transport::Webhook {
        Backend::Webhook { server_url }
    } else {
        Backend::StreamableHttpWebhook { server_url, has_callback }
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
