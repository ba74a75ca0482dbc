//! Everything that the demo runs: what lies between, the worker, the proxy.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use proxy_core::{
    backend::{Backend, Inbox},
    error::BackendError,
    id::RouteKey,
    intake::Intake,
};
use rmcp::ServiceExt as _;
use tempfile::TempDir;
use tokio::{sync::Mutex, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use worker::{
    Ledger,
    children::{Launch, Launched},
};

use super::{
    Options, here, inputs,
    scene::{Scene, Setting, taken},
    server::DemoServer,
    trail::{Noted, Trail},
};
use crate::{
    app::{App, Between, WorkerApp},
    backends::Clients,
    config::{Config, Inputs, Role, load},
};

/// How much of a message a pipe to the MCP server takes at once.
const PIPE: usize = 64 << 10;

/// How long it may take until the proxy can send.
const READY_TIME: Duration = Duration::from_secs(10);

/// What runs, in the order in which it ends.
#[derive(Debug)]
pub(super) struct World {
    scene: Scene,
    trail: Arc<Trail>,
    url: String,
    places: Vec<(&'static str, String)>,
    proxy: Part,
    worker: Part,
    /// The worker's ledger is in it.
    _folder: TempDir,
}

/// A part that runs.
#[derive(Debug)]
struct Part {
    stop: CancellationToken,
    running: Mutex<JoinSet<anyhow::Result<()>>>,
    /// Fires when it has ended.
    ended: CancellationToken,
}

/// What stands between the parts: the trail, and the emulator's clients.
struct Watched {
    noted: Noted,
    clients: Clients,
}

/// Starts a server of the demo's own for each session.
#[derive(Debug)]
struct InProcess(Arc<Trail>);

impl World {
    /// Starts all of it.
    pub(super) async fn start(options: &Options) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("mcp-demo-")
            .tempdir()
            .context("no temporary directory can be made")?;
        let ledger: PathBuf = folder.path().join("ledger.redb");
        let trail = Arc::new(Trail::default());
        let far = here(if options.port == 0 { 0 } else { options.port.saturating_add(1) });
        // Whose port it is, is found out before anything is begun.
        let far = std::net::TcpListener::bind(far)
            .and_then(|listener| listener.local_addr())
            .map_err(|error| taken(error, far))?;
        let scene = Scene::set(&options.backend, far, &ledger).await?;
        let between = Watched { noted: Noted(Arc::clone(&trail)), clients: scene.clients() };

        let config = settings(&inputs(Role::Worker, &scene.worker))?;
        let launch = Arc::new(InProcess(Arc::clone(&trail)));
        let worker = Box::pin(WorkerApp::build_with(
            &config,
            Ledger::open(&ledger)?,
            ledger.clone(),
            Some(launch),
            &between,
        ))
        .await?;
        let worker = Part::start(|stop| worker.run(stop));

        let port = ("server.port".to_owned(), options.port.to_string());
        let all: Vec<Setting> = scene.proxy.iter().chain(&scene.serving).cloned().chain([port]).collect();
        let config = settings(&inputs(Role::Proxy, &all))?;
        let listening = here(options.port);
        let app = Box::pin(App::build_with(&config, &between)).await.map_err(|error| match error
            .downcast::<std::io::Error>(
        ) {
            Ok(error) => taken(error, listening),
            Err(error) => error,
        })?;
        let (url, proxy) = (app.url(), app.proxy());
        let mut places = vec![("proxy", url.clone())];
        places.extend(scene.between.iter().cloned());
        places.push(("worker", format!("ledger in {}", ledger.display())));
        places.push((
            "server",
            "echo, add, slow (progress), ask (a question to you), picture (an image)".to_owned(),
        ));
        let serving = Part::start(|stop| app.run(stop));
        let deadline = Instant::now() + READY_TIME;
        while let Err(error) = proxy.check().await {
            if Instant::now() >= deadline {
                return Err(anyhow::Error::new(error).context("the proxy is not ready"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { scene, trail, url, places, proxy: serving, worker, _folder: folder })
    }

    /// The URL of the proxy's MCP endpoint.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// What is where.
    pub(super) fn places(&self) -> &[(&'static str, String)] {
        &self.places
    }

    /// The settings of another proxy on the same far end.
    pub(super) fn proxy_settings(&self) -> &[Setting] {
        &self.scene.proxy
    }

    /// What follows calls.
    pub(super) fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Waits until a part has ended by itself.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = self.proxy.ended.cancelled() => {}
            () = self.worker.ended.cancelled() => {}
        }
    }

    /// Ends all of it, the proxy first.
    pub(super) async fn stop(&self) -> anyhow::Result<()> {
        let proxy = self.proxy.stop().await.context("the proxy");
        let worker = self.worker.stop().await.context("the worker");
        proxy.and(worker)
    }
}

impl Part {
    fn start<R>(run: impl FnOnce(CancellationToken) -> R) -> Self
    where
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let running = run(stop.clone());
        let mut task = JoinSet::new();
        let done = ended.clone().drop_guard();
        task.spawn(async move {
            let _done = done;
            running.await
        });
        Self { stop, running: Mutex::new(task), ended }
    }

    async fn stop(&self) -> anyhow::Result<()> {
        self.stop.cancel();
        match self.running.lock().await.join_next().await {
            Some(ended) => ended?,
            None => Ok(()),
        }
    }
}

impl Between for Watched {
    fn inbox(&self, inbox: Arc<dyn Inbox>) -> Arc<dyn Inbox> {
        self.noted.inbox(inbox)
    }

    fn backend(&self, backend: Arc<dyn Backend>) -> Arc<dyn Backend> {
        self.noted.backend(backend)
    }

    fn intake(&self, intake: Arc<dyn Intake>) -> Arc<dyn Intake> {
        self.noted.intake(intake)
    }

    fn clients(&self) -> Clients {
        self.clients.clone()
    }
}

#[async_trait]
impl Launch for InProcess {
    async fn launch(&self, _route: &RouteKey) -> Result<Launched, BackendError> {
        let (near_input, far_input) = tokio::io::duplex(PIPE);
        let (near_output, far_output) = tokio::io::duplex(PIPE);
        let server = DemoServer::new(Arc::clone(&self.0));
        let serving = Box::pin(async move {
            match server.serve((far_input, far_output)).await {
                Ok(running) => {
                    if let Err(error) = running.waiting().await {
                        tracing::debug!(%error, "a server of the demo did not end cleanly");
                    }
                }
                Err(error) => tracing::debug!(%error, "a server of the demo was not initialized"),
            }
        });
        Ok(Launched::in_process(near_input, near_output, serving))
    }
}

fn settings(inputs: &Inputs) -> anyhow::Result<Config> {
    let loaded = load(inputs).map_err(|refused| {
        let problems: Vec<String> = refused.problems.iter().map(ToString::to_string).collect();
        anyhow!("{}", problems.join("; "))
    })?;
    Ok(loaded.config)
}
