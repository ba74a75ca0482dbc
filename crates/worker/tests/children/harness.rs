//! A backend of child processes, and what it delivers.

use std::{
    collections::HashMap, fs::File, io::Read as _, os::fd::AsFd as _, process::Command, sync::Arc,
    time::Duration,
};

use prometheus_client::{encoding::text::encode, registry::Registry};
use proxy_core::{
    backend::{Backend, Context, Disposition, Event, Inbound, Inbox, Outbound, Remote, Settlement},
    error::BackendError,
    id::{InstanceId, RouteKey, WireId},
    message::{Message, RequestId},
};
use serde_json::Value;
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    sync::{Mutex, mpsc},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use worker::children::{Children, ChildrenParts, Launcher, ServerConfig};

/// The program that is both helpers, and the server.
pub(crate) const HELPER: &str = env!("CARGO_BIN_EXE_worker-children-helper");

/// A running backend.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) children: Arc<Children>,
    pub(crate) registry: Registry,
    received: Mutex<Received>,
    running: Mutex<JoinSet<Result<(), BackendError>>>,
    shutdown: CancellationToken,
}

#[derive(Debug)]
struct Received {
    events: mpsc::Receiver<(RouteKey, Event)>,
    /// What came while another session's was waited for.
    kept: HashMap<RouteKey, Vec<Event>>,
}

/// One session, from a client's point of view.
#[derive(Debug)]
pub(crate) struct Client<'rig> {
    pub(crate) rig: &'rig Rig,
    pub(crate) route: RouteKey,
    next: std::sync::atomic::AtomicU64,
}

#[derive(Debug)]
struct Queue(mpsc::Sender<(RouteKey, Event)>);

impl Inbox for Queue {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        let route = inbound.route.expect("a child's messages name their route");
        self.0.try_send((route, inbound.event)).expect("there is room for what tests do");
        Settlement::Now(Disposition::Accepted)
    }
}

pub(crate) fn launcher() -> Launcher {
    Launcher { program: HELPER.into(), launch: vec!["launch".into()], watch: vec!["watch".into()] }
}

/// The settings for the server of the helper.
pub(crate) fn server() -> ServerConfig {
    ServerConfig::new([HELPER, "serve"])
}

/// The settings for a shell that runs this.
pub(crate) fn shell(script: &str) -> ServerConfig {
    ServerConfig::new(["sh", "-c", script])
}

/// These settings, with a change.
pub(crate) fn changed(mut config: ServerConfig, change: impl FnOnce(&mut ServerConfig)) -> ServerConfig {
    change(&mut config);
    config
}

impl Rig {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self::with(config, launcher())
    }

    pub(crate) fn with(config: &ServerConfig, launcher: Launcher) -> Self {
        let mut registry = Registry::default();
        let (deliver, events) = mpsc::channel(10_000);
        let parts = ChildrenParts { inbox: Arc::new(Queue(deliver)), launcher, registry: &mut registry };
        let children = Arc::new(Children::new(config, parts).expect("the settings are right"));
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        let (backend, stop) = (Arc::clone(&children), shutdown.clone());
        running.spawn(async move { backend.run(stop).await });
        Self {
            children,
            registry,
            received: Mutex::new(Received { events, kept: HashMap::new() }),
            running: Mutex::new(running),
            shutdown,
        }
    }

    /// A session that nothing was sent in yet.
    pub(crate) fn client(&self) -> Client<'_> {
        Client { rig: self, route: RouteKey::random(&InstanceId::random()), next: 0.into() }
    }

    /// A session whose server has answered `initialize`.
    pub(crate) async fn open(&self) -> Client<'_> {
        let client = self.client();
        let answer = client.call("initialize", "{}").await.expect("initialize can be sent");
        assert_eq!(answer["result"]["serverInfo"]["name"], "helper", "{answer}");
        client
    }

    /// Ends everything, as a worker does.
    pub(crate) async fn shut_down(&self) {
        self.shutdown.cancel();
        let result = within(async { self.running.lock().await.join_next().await }).await;
        result.expect("it ran").expect("it did not panic").expect("it ends well");
    }

    /// The value of a metric, labels included in its name.
    pub(crate) fn metric(&self, name: &str) -> Option<String> {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("metrics are text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(str::to_owned)
    }

    /// The next thing that came for this session.
    async fn event(&self, route: &RouteKey) -> Event {
        let mut received = self.received.lock().await;
        if let Some(kept) = received.kept.get_mut(route).filter(|kept| !kept.is_empty()) {
            return kept.remove(0);
        }
        loop {
            let (whose, event) = within(received.events.recv()).await.expect("the backend lives");
            if whose == *route {
                return event;
            }
            received.kept.entry(whose).or_default().push(event);
        }
    }
}

impl Client<'_> {
    pub(crate) fn outbound(&self, method: &str, params: &str) -> Outbound {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let about = WireId::new(self.route.clone(), number);
        let text = format!(r#"{{"jsonrpc":"2.0","id":"{about}","method":"{method}","params":{params}}}"#);
        Outbound {
            remote: self.remote(),
            about: Some(about),
            number,
            context: Context { version: None, deadline: Instant::now() + Duration::from_secs(20) },
            message: Message::parse(text).expect("tests send messages"),
        }
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote { route: self.route.clone(), peer: None }
    }

    pub(crate) async fn send(&self, method: &str, params: &str) -> Result<(), BackendError> {
        within(self.rig.children.send(self.outbound(method, params))).await.map(drop)
    }

    /// Sends a request and waits for the next message, which must be its answer.
    pub(crate) async fn call(&self, method: &str, params: &str) -> Result<Value, BackendError> {
        let outbound = self.outbound(method, params);
        let id = outbound.about.as_ref().expect("it is a request").to_string();
        within(self.rig.children.send(outbound)).await?;
        let message = self.message().await;
        assert_eq!(message.id(), Some(&RequestId::string(id)), "{}", message.as_str());
        Ok(serde_json::from_str(message.as_str()).expect("messages are JSON"))
    }

    pub(crate) async fn message(&self) -> Message {
        match self.event().await {
            Event::Message(message) => message,
            other => panic!("no message came but {other:?}"),
        }
    }

    /// The error that ended the exchange, or all of them.
    pub(crate) async fn failure(&self) -> (Option<WireId>, BackendError) {
        match self.event().await {
            Event::ExchangeFailed(wire, error) => (wire, error),
            other => panic!("no failure came but {other:?}"),
        }
    }

    pub(crate) async fn event(&self) -> Event {
        self.rig.event(&self.route).await
    }

    /// Has the server start something that holds a pipe.
    pub(crate) async fn spawn(&self) -> Held {
        let held = Held::new();
        let params = serde_json::json!({ "pipe": held.path() }).to_string();
        self.call("spawn", &params).await.expect("a call can be sent");
        held
    }

    pub(crate) async fn close(&self) {
        within(self.rig.children.close(&self.remote())).await.expect("closing works");
    }
}

/// A pipe that ends when the last process that holds it has.
#[derive(Debug)]
pub(crate) struct Held {
    folder: tempfile::TempDir,
    receiver: pipe::Receiver,
}

impl Held {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("pipe");
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo is there");
        assert!(made.success());
        let receiver = pipe::OpenOptions::new().open_receiver(path).expect("a pipe can be opened");
        Self { folder, receiver }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("pipe")
    }

    /// Waits until nobody holds it any more. Somebody must have held it.
    pub(crate) async fn ended(&mut self) {
        let mut rest = Vec::new();
        within(self.receiver.read_to_end(&mut rest)).await.expect("a pipe can be read");
    }

    /// Whether nobody holds it any more, now.
    pub(crate) fn has_ended(&self) -> bool {
        let pipe = self.receiver.as_fd().try_clone_to_owned().expect("there are descriptors left");
        // asked past the runtime, which only knows what it was told already
        matches!(File::from(pipe).read(&mut [0]), Ok(0))
    }

    /// Waits until somebody has written into it.
    pub(crate) async fn written(&mut self) {
        within(async {
            loop {
                self.receiver.readable().await.expect("a pipe can be read");
                match self.receiver.try_read(&mut [0; 64]) {
                    Ok(0) => tokio::task::yield_now().await,
                    Ok(_) => return,
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                }
            }
        })
        .await;
    }
}

/// No test waits for longer.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("it comes in time")
}
