//! An intake between an emulator and a desk that does what it is told.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    types::{Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName},
};
use backend_sqs::{SqsIntake, SqsIntakeConfig, SqsIntakeParts};
use prometheus_client::registry::Registry;
use proxy_core::{
    ProxyContext,
    error::BackendError,
    id::InstanceId,
    intake::{Arrival, ArrivalEvent, Desk, Intake as _, Receipt, Settled, Stopping, Taken},
};
use testkit::emulator::{Emulator, client_for};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{interval, timeout},
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const REQUESTS: &str = "requests";
pub(crate) const LETTERS: &str = "letters";
pub(crate) const PREFIX: &str = "mcp-worker";
/// The access key that the intake signs with.
pub(crate) const WORKER: &str = "worker";

/// Hands what it takes to the test, and settles it as the test said; otherwise all is done at once.
pub(crate) struct ScriptedDesk {
    taken: mpsc::Sender<Arrival>,
    settlements: Mutex<VecDeque<oneshot::Receiver<Settled>>>,
}

impl fmt::Debug for ScriptedDesk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ScriptedDesk").finish_non_exhaustive()
    }
}

impl ScriptedDesk {
    /// The next arrival is settled when the test says.
    pub(crate) fn settle_next_later(&self) -> oneshot::Sender<Settled> {
        let (settle, settled) = oneshot::channel();
        self.settlements.lock().unwrap().push_back(settled);
        settle
    }
}

impl Desk for ScriptedDesk {
    fn take(&self, arrival: Arrival) -> Taken {
        self.taken.try_send(arrival).unwrap();
        let later = self.settlements.lock().unwrap().pop_front();
        Taken {
            receipt: Receipt::Accepted,
            settled: Box::pin(async {
                match later {
                    Some(later) => later.await.unwrap(),
                    None => Settled::Done,
                }
            }),
        }
    }
}

/// An intake that is connected to an emulator and runs.
pub(crate) struct World {
    pub(crate) emulator: Arc<Emulator>,
    pub(crate) intake: Arc<SqsIntake>,
    pub(crate) desk: Arc<ScriptedDesk>,
    pub(crate) instance: InstanceId,
    pub(crate) stopping: Stopping,
    taken: mpsc::Receiver<Arrival>,
    registry: Registry,
    running: JoinSet<Result<(), BackendError>>,
}

/// How a world differs from the usual one.
pub(crate) struct Setup {
    pub(crate) instance: InstanceId,
    pub(crate) sole: bool,
    /// Settles the first arrivals.
    pub(crate) settlements: VecDeque<oneshot::Receiver<Settled>>,
    pub(crate) change: fn(&mut SqsIntakeConfig),
}

impl Default for Setup {
    fn default() -> Self {
        Self { instance: InstanceId::random(), sole: false, settlements: VecDeque::new(), change: |_| () }
    }
}

/// An emulator with a request queue and the queue for its dead letters.
pub(crate) async fn emulator() -> Arc<Emulator> {
    let emulator = Emulator::start().await.unwrap();
    emulator.create_queue(LETTERS, &[]).unwrap();
    let redrive =
        r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:letters","maxReceiveCount":"100"}"#;
    emulator.create_queue(REQUESTS, &[("RedrivePolicy", redrive)]).unwrap();
    Arc::new(emulator)
}

/// Connects without running.
pub(crate) async fn connect(
    emulator: &Emulator,
    setup: Setup,
    registry: &mut Registry,
) -> Result<SqsIntake, BackendError> {
    let mut config = SqsIntakeConfig::new(emulator.queue_url(REQUESTS));
    (setup.change)(&mut config);
    let parts = SqsIntakeParts {
        instance: setup.instance,
        sole: setup.sole,
        request_timeout_max: Duration::from_hours(1),
        registry,
        client: Some(client_for(&emulator.endpoint_url(), WORKER)),
        large_payloads: None,
    };
    SqsIntake::connect(config, parts).await
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(emulator().await, Setup::default()).await
    }

    pub(crate) async fn with(emulator: Arc<Emulator>, mut setup: Setup) -> Self {
        let settlements = Mutex::new(std::mem::take(&mut setup.settlements));
        let mut registry = Registry::default();
        let instance = setup.instance.clone();
        let intake = Arc::new(connect(&emulator, setup, &mut registry).await.unwrap());
        let (sender, taken) = mpsc::channel(1000);
        let desk = Arc::new(ScriptedDesk { taken: sender, settlements });
        let stopping = Stopping::default();
        let mut running = JoinSet::new();
        let (runner, at, until) = (Arc::clone(&intake), Arc::clone(&desk), stopping.clone());
        running.spawn(async move { runner.run(at, until).await });
        Self { emulator, intake, desk, instance, stopping, taken, registry, running }
    }

    /// What was taken next.
    pub(crate) async fn taken(&mut self) -> Arrival {
        timeout(PATIENCE, self.taken.recv()).await.expect("an arrival in time").expect("a desk")
    }

    /// Whether nothing more was taken.
    pub(crate) fn nothing_taken(&mut self) -> bool {
        self.taken.try_recv().is_err()
    }

    /// The name of the worker's own queue.
    pub(crate) fn own(&self) -> String {
        own_name(&self.instance)
    }

    /// Puts a message on a queue.
    pub(crate) async fn put(&self, queue: &str, body: &str, attributes: &[(&str, &str)]) {
        put(&self.emulator.client(), &self.emulator.queue_url(queue), body, attributes).await;
    }

    /// Waits until the queue holds nothing, hidden messages included.
    pub(crate) async fn emptied(&self, queue: &str) {
        eventually(|| held(&self.emulator, queue) == 0).await;
    }

    /// The value of a counter, labels included in its name.
    pub(crate) fn count(&self, counter: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    pub(crate) async fn stop(&mut self) {
        self.stopping.drain.cancel();
        self.stopping.stop.cancel();
        timeout(PATIENCE, self.running.join_next()).await.expect("an end in time").unwrap().unwrap().unwrap();
    }

    /// Ends it in the middle of everything, as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        self.running.shutdown().await;
    }
}

pub(crate) fn own_name(instance: &InstanceId) -> String {
    format!("{PREFIX}-{}", instance.as_str())
}

/// How many messages a queue holds.
pub(crate) fn held(emulator: &Emulator, queue: &str) -> usize {
    let depth = emulator.depth(queue).unwrap();
    depth.visible + depth.in_flight + depth.delayed
}

pub(crate) fn call(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{{"name":"add"}}}}"#)
}

pub(crate) fn answer(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{}}}}"#)
}

pub(crate) fn text(arrival: &Arrival) -> &str {
    match &arrival.event {
        ArrivalEvent::Message(message) => message.as_str(),
        ArrivalEvent::End => "",
    }
}

pub(crate) async fn put(client: &Client, url: &str, body: &str, attributes: &[(&str, &str)]) {
    let mut request = client.send_message().queue_url(url).message_body(body);
    for (name, value) in attributes {
        let value = MessageAttributeValue::builder().data_type("String").string_value(*value);
        request = request.message_attributes(*name, value.build().unwrap());
    }
    request.send().await.unwrap();
}

/// Takes and deletes what is on a queue, until `count` messages have come.
pub(crate) async fn take(emulator: &Emulator, queue: &str, count: usize) -> Vec<SqsMessage> {
    let (client, url) = (emulator.client(), emulator.queue_url(queue));
    let mut taken = Vec::new();
    while taken.len() < count {
        let receive = client
            .receive_message()
            .queue_url(&url)
            .max_number_of_messages(10)
            .wait_time_seconds(20)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let messages = timeout(PATIENCE, receive.send()).await.expect("messages in time").unwrap();
        for message in messages.messages.unwrap_or_default() {
            let receipt = message.receipt_handle().unwrap();
            client.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
            taken.push(message);
        }
    }
    taken
}

pub(crate) fn attribute(message: &SqsMessage, name: &str) -> Option<String> {
    message.message_attributes()?.get(name)?.string_value().map(str::to_owned)
}

/// Why a message is among the dead letters.
pub(crate) fn reason(message: &SqsMessage) -> Option<String> {
    ProxyContext::parse(&attribute(message, "ProxyContext")?)?.reason.map(Into::into)
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
