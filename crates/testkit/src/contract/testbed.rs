//! A backend between its transport and a scripted inbox.

use std::{sync::Arc, time::Duration};

use proxy_core::{
    ProtocolVersion,
    backend::{Backend, Context, Outbound, Remote},
    error::BackendError,
    id::{InstanceId, RouteKey, WireId},
    message::Message,
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    inbox::ScriptedInbox,
    target::{Carried, Connection, ContractTarget, FarSide, Returned},
};

/// How long anything may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Testbed {
    pub(super) instance: InstanceId,
    pub(super) inbox: Arc<ScriptedInbox>,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) far_side: Box<dyn FarSide>,
    pub(super) shutdown: CancellationToken,
    running: JoinSet<Result<(), BackendError>>,
}

impl Testbed {
    /// A backend that sends, but does not receive yet.
    pub(super) async fn connect(target: &dyn ContractTarget) -> Self {
        let instance = InstanceId::random();
        let inbox = Arc::new(ScriptedInbox::default());
        let shared = Arc::clone(&inbox);
        let Connection { backend, far_side } = target.connect(shared, instance.clone()).await;
        let shutdown = CancellationToken::new();
        Self { instance, inbox, backend, far_side, shutdown, running: JoinSet::new() }
    }

    /// A backend that sends and receives.
    pub(super) async fn start(target: &dyn ContractTarget) -> Self {
        let mut testbed = Self::connect(target).await;
        testbed.run();
        testbed
    }

    pub(super) fn run(&mut self) {
        let (backend, shutdown) = (Arc::clone(&self.backend), self.shutdown.clone());
        self.running.spawn(async move { backend.run(shutdown).await });
    }

    /// Whether `run` goes on.
    pub(super) fn is_running(&mut self) -> bool {
        self.running.try_join_next().is_none()
    }

    /// Tells the backend to stop and waits until it has.
    pub(super) async fn stop(&mut self) {
        self.shutdown.cancel();
        let ended = in_time("the end of run", self.running.join_next()).await;
        assert!(matches!(ended, Some(Ok(Ok(())))), "run ends well on shutdown: {ended:?}");
    }

    /// Stops, and says how much of the return path is left unacknowledged.
    pub(super) async fn left_after_stop(&mut self) -> usize {
        self.stop().await;
        self.far_side.unacknowledged().await
    }

    pub(super) fn route(&self) -> RouteKey {
        RouteKey::random(&self.instance)
    }

    pub(super) async fn receive(&mut self) -> Carried {
        in_time("what was sent", self.far_side.receive()).await
    }

    /// Puts this text on the return path, in an envelope that names a route of ours.
    pub(super) async fn put(&mut self, body: &str) {
        let route = self.route();
        self.put_for(&route, body).await;
    }

    pub(super) async fn put_for(&mut self, route: &RouteKey, body: &str) {
        let route = Some(route.as_str().to_owned());
        self.far_side.put(Returned { route, body: body.to_owned(), ..Returned::default() }).await;
    }
}

/// A message on its way out, the first of its route.
pub(super) fn outbound(route: &RouteKey, text: &str) -> Outbound {
    let message = match Message::parse(text) {
        Ok(message) => message,
        Err(error) => panic!("the suite wrote a bad message: {error}"),
    };
    Outbound {
        remote: Remote { route: route.clone(), peer: None },
        about: matches!(message, Message::Request(_)).then(|| WireId::new(route.clone(), 0)),
        number: 0,
        context: Context { version: Some(ProtocolVersion::V2025_06_18), deadline: Instant::now() + PATIENCE },
        message,
    }
}

/// A `tools/call` under the first wire id of its route.
pub(super) fn call(route: &RouteKey) -> String {
    let id = WireId::new(route.clone(), 0);
    // The odd spacing and the unknown member must survive.
    format!(r#"{{"jsonrpc":"2.0", "id":"{id}","method":"tools/call","params":{{"name":"é\n","x":1.50}} }}"#)
}

/// An answer to it.
pub(super) fn answer(route: &RouteKey, number: u64) -> String {
    let id = WireId::new(route.clone(), number);
    format!(r#"{{"jsonrpc":"2.0", "id":"{id}","result":{{"text":"é\n","x":1.50}} }}"#)
}

pub(super) async fn send(backend: &dyn Backend, outbound: Outbound) {
    let sent = in_time("a send", backend.send(outbound)).await;
    assert!(sent.is_ok(), "an ordinary message is sent: {sent:?}");
}

pub(super) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = timeout(PATIENCE, future).await else {
        panic!("{what} did not come within {PATIENCE:?}");
    };
    value
}
