//! A backend between an emulator and an inbox that does what it is told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    types::{MessageAttributeValue, MessageSystemAttributeName},
};
use backend_sqs::{SqsBackend, SqsConfig, SqsParts};
use prometheus_client::registry::Registry;
use proxy_core::{
    backend::{Backend, Context, Disposition, Inbound, Inbox, Outbound, Remote, Settlement},
    error::BackendError,
    id::{InstanceId, RouteKey},
    message::Message,
};
use testkit::emulator::{Emulator, client_for};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const REQUESTS: &str = "requests";
pub(crate) const REPLIES: &str = "replies";
/// The access key that the backend signs with.
pub(crate) const PROXY: &str = "proxy";

/// Hands what is delivered to the test, and settles it as the test said.
#[derive(Debug)]
pub(crate) struct ScriptedInbox {
    delivered: mpsc::Sender<Inbound>,
    settlements: Mutex<Vec<Settlement>>,
    otherwise: Otherwise,
}

/// What becomes of deliveries that no settlement was set for.
#[derive(Debug, Clone)]
pub(crate) enum Otherwise {
    /// All the same.
    Always(Disposition),
    /// As a proxy does it: its own instance's are accepted, all others are foreign and not told to the test.
    OwnOnly(InstanceId),
}

impl ScriptedInbox {
    /// Settles the next deliveries so, the first first.
    pub(crate) fn settle_next(&self, settlements: impl IntoIterator<Item = Settlement>) {
        self.settlements.lock().unwrap().extend(settlements);
    }
}

impl Inbox for ScriptedInbox {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        let mut settlements = self.settlements.lock().unwrap();
        let settlement = match &self.otherwise {
            _ if !settlements.is_empty() => settlements.remove(0),
            Otherwise::Always(disposition) => Settlement::Now(*disposition),
            Otherwise::OwnOnly(instance) => {
                if !inbound.route.as_ref().is_some_and(|route| route.belongs_to(instance)) {
                    return Settlement::Now(Disposition::Foreign);
                }
                Settlement::Now(Disposition::Accepted)
            }
        };
        self.delivered.try_send(inbound).unwrap();
        settlement
    }
}

/// How a world differs from the usual one.
pub(crate) struct Setup {
    pub(crate) otherwise: Otherwise,
    pub(crate) instance: InstanceId,
    pub(crate) request_timeout_max: Duration,
    pub(crate) endpoint: Option<String>,
    pub(crate) change: fn(&mut SqsConfig),
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            otherwise: Otherwise::Always(Disposition::Accepted),
            instance: InstanceId::random(),
            request_timeout_max: Duration::from_hours(1),
            endpoint: None,
            change: |_| (),
        }
    }
}

/// A backend that is connected to an emulator and runs.
pub(crate) struct World {
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) far: Client,
    pub(crate) backend: Arc<SqsBackend>,
    pub(crate) inbox: Arc<ScriptedInbox>,
    pub(crate) received: mpsc::Receiver<Inbound>,
    pub(crate) instance: InstanceId,
    pub(crate) registry: Registry,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinSet<Result<(), BackendError>>,
}

/// An emulator with both queues.
pub(crate) async fn emulator() -> Arc<Emulator> {
    let emulator = Emulator::start().await.unwrap();
    emulator.create_queue(REQUESTS, &[]).unwrap();
    emulator.create_queue(REPLIES, &[]).unwrap();
    Arc::new(emulator)
}

/// Connects without running.
pub(crate) async fn connect(
    emulator: &Emulator,
    change: impl FnOnce(&mut SqsConfig),
) -> Result<SqsBackend, BackendError> {
    let mut config = SqsConfig::new(emulator.queue_url(REQUESTS));
    config.response_queue_url = Some(emulator.queue_url(REPLIES));
    change(&mut config);
    let (delivered, _) = mpsc::channel(1);
    let otherwise = Otherwise::Always(Disposition::Accepted);
    let parts = SqsParts {
        inbox: Arc::new(ScriptedInbox { delivered, settlements: Mutex::default(), otherwise }),
        instance: InstanceId::random(),
        request_timeout_max: Duration::from_hours(1),
        registry: &mut Registry::default(),
        client: Some(client_for(&emulator.endpoint_url(), PROXY)),
        large_payloads: None,
    };
    SqsBackend::connect(config, parts).await
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(emulator().await, Setup::default()).await
    }

    pub(crate) async fn with(emulator: Arc<Emulator>, setup: Setup) -> Self {
        let Setup { otherwise, instance, request_timeout_max, endpoint, change } = setup;
        let mut config = SqsConfig::new(emulator.queue_url(REQUESTS));
        config.response_queue_url = Some(emulator.queue_url(REPLIES));
        change(&mut config);
        let (delivered, received) = mpsc::channel(10_000);
        let inbox = Arc::new(ScriptedInbox { delivered, settlements: Mutex::default(), otherwise });
        let mut registry = Registry::default();
        let parts = SqsParts {
            inbox: Arc::clone(&inbox) as Arc<dyn Inbox>,
            instance: instance.clone(),
            request_timeout_max,
            registry: &mut registry,
            client: Some(client_for(&endpoint.unwrap_or_else(|| emulator.endpoint_url()), PROXY)),
            large_payloads: None,
        };
        let backend = Arc::new(SqsBackend::connect(config, parts).await.unwrap());
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        let (runner, stop) = (Arc::clone(&backend), shutdown.clone());
        running.spawn(async move { runner.run(stop).await });
        let far = emulator.client();
        Self { emulator, far, backend, inbox, received, instance, registry, shutdown, running }
    }

    pub(crate) fn route(&self) -> RouteKey {
        RouteKey::random(&self.instance)
    }

    /// Sends this text for a session of ours.
    pub(crate) async fn send(&self, text: &str) -> Result<(), BackendError> {
        self.backend.send(outbound(&self.route(), text)).await.map(|_| ())
    }

    /// What was delivered next.
    pub(crate) async fn delivered(&mut self) -> Inbound {
        timeout(PATIENCE, self.received.recv()).await.expect("a delivery in time").expect("an inbox")
    }

    /// Puts a message on the reply queue, as the far end would.
    pub(crate) async fn reply(&self, session: Option<&str>, body: &str) {
        reply(&self.far, &self.emulator.queue_url(REPLIES), session, body, &[]).await;
    }

    /// The value of a counter, labels included in its name.
    pub(crate) fn count(&self, counter: &str) -> u64 {
        let metrics = self.metrics();
        let value = metrics.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a counter has come to this value.
    pub(crate) async fn counted(&self, counter: &str, least: u64) {
        eventually(|| self.count(counter) >= least).await;
    }

    /// Waits until the queue holds nothing, hidden messages included.
    pub(crate) async fn emptied(&self, queue: &str) {
        eventually(|| self.emulator.depth(queue).is_some_and(|depth| depth.visible + depth.in_flight == 0))
            .await;
    }

    /// Waits until the backend polls.
    pub(crate) async fn polling(&self) {
        eventually(|| self.emulator.waiting(REPLIES) > 0).await;
    }

    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.running.join_next()).await.expect("an end in time").unwrap().unwrap().unwrap();
    }

    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    pub(crate) fn calls(&self, action: &str) -> u64 {
        self.emulator.calls().of(PROXY, action)
    }
}

pub(crate) fn outbound(route: &RouteKey, text: &str) -> Outbound {
    outbound_until(route, text, Instant::now() + PATIENCE)
}

pub(crate) fn outbound_until(route: &RouteKey, text: &str, deadline: Instant) -> Outbound {
    Outbound {
        remote: Remote { route: route.clone(), peer: None },
        about: None,
        number: 0,
        context: Context { version: None, deadline },
        message: Message::parse(text).unwrap(),
    }
}

pub(crate) fn call(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{{"name":"add"}}}}"#)
}

pub(crate) fn answer(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{}}}}"#)
}

/// Puts a message on a queue.
pub(crate) async fn reply(far: &Client, url: &str, session: Option<&str>, body: &str, more: &[(&str, &str)]) {
    let mut request = far.send_message().queue_url(url).message_body(body);
    let session = session.map(|session| ("SessionId", session));
    for (name, value) in session.iter().chain(more) {
        let value = MessageAttributeValue::builder().data_type("String").string_value(*value);
        request = request.message_attributes(*name, value.build().unwrap());
    }
    request.send().await.unwrap();
}

/// Takes and deletes what is on a queue, until `count` messages have come.
pub(crate) async fn take(far: &Client, url: &str, count: usize) -> Vec<aws_sdk_sqs::types::Message> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let receive = far
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .wait_time_seconds(20)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let messages = timeout(PATIENCE, receive.send()).await.expect("messages in time").unwrap();
        for message in messages.messages.unwrap_or_default() {
            let receipt = message.receipt_handle().unwrap();
            far.delete_message().queue_url(url).receipt_handle(receipt).send().await.unwrap();
            taken.push(message);
        }
    }
    taken
}

/// Waits for something that the emulator shows.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    let mut looks = interval(Duration::from_millis(5));
    let poll = async {
        while !holds() {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, poll).await.expect("it to come true in time");
}
