//! An intake between its transport and a scripted desk.

use std::{sync::Arc, time::Duration};

use proxy_core::{
    ProxyContext,
    error::BackendError,
    id::{InstanceId, RemoteSession, RouteKey},
    intake::{Arrival, Desk, Intake, Reply, ReplyTo, Stopping},
    message::Message,
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    desk::{ScriptedDesk, made_up},
    target::{ClientSide, Envelope, IntakeConnection, IntakeTarget, Place, Received},
};

/// How long anything may take: longer than a queue hides a message that was given back.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Testbed {
    pub(super) instance: InstanceId,
    pub(super) desk: Arc<ScriptedDesk>,
    pub(super) intake: Arc<dyn Intake>,
    pub(super) client_side: Box<dyn ClientSide>,
    pub(super) stopping: Stopping,
    running: JoinSet<Result<(), BackendError>>,
    takes_proposals: bool,
}

/// A session that a client began.
pub(super) struct Begun {
    /// Its id.
    pub(super) session: RemoteSession,
    /// Its `initialize`, as it arrived.
    pub(super) arrival: Arrival,
}

impl Begun {
    /// Where the session's answers go.
    pub(super) fn to(&self) -> ReplyTo {
        match &self.arrival.reply {
            Some(reply) => reply.clone(),
            None => panic!("initialize arrives with where its answer goes"),
        }
    }

    /// The answer to its `initialize`, or what belongs to it.
    pub(super) fn reply(&self, body: &str) -> Reply {
        self.reply_to(&self.arrival, body)
    }

    /// The answer to this request of the session, or what belongs to it.
    pub(super) fn reply_to(&self, arrival: &Arrival, body: &str) -> Reply {
        let Ok(message) = Message::parse(body) else { panic!("the suite wrote a bad message: {body}") };
        Reply {
            session: Some(self.session.clone()),
            to: self.to(),
            request: arrival.reply.clone(),
            context: None,
            payloads: None,
            deadline: Instant::now() + PATIENCE,
            message,
        }
    }
}

impl Testbed {
    /// An intake that replies, but receives nothing yet.
    pub(super) async fn connect(target: &dyn IntakeTarget) -> Self {
        let instance = InstanceId::random();
        let IntakeConnection { intake, client_side } = target.connect(instance.clone()).await;
        let takes_proposals = target.takes_proposals();
        Self {
            instance,
            desk: Arc::default(),
            intake,
            client_side,
            stopping: Stopping::default(),
            running: JoinSet::new(),
            takes_proposals,
        }
    }

    /// An intake that replies and receives.
    pub(super) async fn start(target: &dyn IntakeTarget) -> Self {
        let mut testbed = Self::connect(target).await;
        testbed.run();
        testbed
    }

    pub(super) fn run(&mut self) {
        let desk: Arc<dyn Desk> = Arc::<ScriptedDesk>::clone(&self.desk);
        self.run_beside(Arc::clone(&self.intake), desk);
    }

    /// Runs another worker's intake with a desk of its own, until this one's stops.
    pub(super) fn run_beside(&mut self, intake: Arc<dyn Intake>, desk: Arc<dyn Desk>) {
        let stopping = self.stopping.clone();
        self.running.spawn(async move { intake.run(desk, stopping).await });
    }

    /// Whether every `run` goes on.
    pub(super) fn is_running(&mut self) -> bool {
        self.running.try_join_next().is_none()
    }

    /// Tells the intake to stop and waits until it has.
    pub(super) async fn stop(&mut self) {
        self.stopping.drain.cancel();
        self.stopping.stop.cancel();
        while let Some(ended) = in_time("the end of run", self.running.join_next()).await {
            assert!(matches!(ended, Ok(Ok(()))), "run ends well when it is stopped: {ended:?}");
        }
    }

    /// Stops, and says how much is left unacknowledged.
    pub(super) async fn left_after_stop(&mut self) -> usize {
        self.stop().await;
        self.client_side.unacknowledged().await
    }

    /// A session id that a proxy would propose.
    pub(super) fn session(&self) -> String {
        RouteKey::random(&self.instance).as_str().to_owned()
    }

    /// Sends a message of a session, as a client that knows nothing of our extensions does.
    pub(super) async fn put(&mut self, session: &str, body: &str) {
        let envelope = Envelope { session: Some(session.to_owned()), ..envelope(body) };
        self.client_side.put(envelope).await;
    }

    /// Begins a session whose answers go to this place, as a client that knows nothing of our extensions does. Only once what was
    /// sent before has arrived.
    pub(super) async fn begin(&mut self, place: Place) -> Begun {
        let proposed = self.session();
        let reply = Some(self.client_side.address(place).await);
        let session = self.takes_proposals.then(|| proposed.clone());
        let before = self.desk.arrivals().len();
        self.client_side.put(Envelope { session, reply, ..envelope(&initialize()) }).await;
        let arrival = self.desk.wait_for(before + 1).await.remove(before);
        let session = arrival.session.clone().unwrap_or_else(|| made_up(before));
        Begun { session, arrival }
    }

    /// Sends a call in a session, and returns it as it arrived.
    pub(super) async fn call(&mut self, begun: &Begun, number: u64) -> Arrival {
        let before = self.desk.arrivals().len();
        self.put(begun.session.as_str(), &call(number)).await;
        self.desk.wait_for(before + 1).await.remove(before)
    }

    pub(super) async fn receive(&mut self) -> Received {
        in_time("what was sent back", self.client_side.receive()).await
    }

    pub(super) async fn reply(&self, reply: Reply) {
        let sent = in_time("a reply", self.intake.reply(reply)).await;
        assert!(sent.is_ok(), "an ordinary message is sent back: {sent:?}");
    }
}

/// What every client sends around a message.
pub(super) fn envelope(body: &str) -> Envelope {
    Envelope {
        client_id: Some("client".to_owned()),
        version: Some("2025-06-18".to_owned()),
        body: body.to_owned(),
        ..Envelope::default()
    }
}

/// What our own proxy says beside a message.
pub(super) fn context(reply: proxy_core::ReplyAddress) -> ProxyContext {
    ProxyContext { v: ProxyContext::VERSION, reply: Some(reply), ..ProxyContext::default() }
}

pub(super) fn initialize() -> String {
    r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"x":{}},"clientInfo":{"name":"suite","version":"1"},"_meta":{"progressToken":"p"}}}"#
        .to_owned()
}

/// A `tools/call`. The odd spacing and the unknown member must survive.
pub(super) fn call(number: u64) -> String {
    format!(
        r#"{{"jsonrpc":"2.0", "id":"call-{number}","method":"tools/call","params":{{"name":"é\n","x":1.50}} }}"#
    )
}

/// An answer to it.
pub(super) fn answer(number: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0", "id":"call-{number}","result":{{"text":"é\n","x":1.50}} }}"#)
}

/// A notification on the way back.
pub(super) fn progress(number: u64) -> String {
    format!(
        r#"{{"jsonrpc":"2.0", "method":"notifications/progress","params":{{"progressToken":"t","progress":{number}}} }}"#
    )
}

pub(super) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = timeout(PATIENCE, future).await else {
        panic!("{what} did not come within {PATIENCE:?}");
    };
    value
}
