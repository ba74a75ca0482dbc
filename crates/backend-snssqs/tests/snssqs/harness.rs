//! A backend between an emulator and an inbox that accepts all.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sns::types::MessageAttributeValue;
use aws_sdk_sqs::types::{Message as SqsMessage, MessageSystemAttributeName};
use backend_snssqs::{SnsSqsBackend, SnsSqsConfig, SnsSqsParts};
use prometheus_client::registry::Registry;
use proxy_core::{
    backend::{Backend, Context, Disposition, Inbound, Inbox, Outbound, Remote, Settlement},
    error::BackendError,
    id::{InstanceId, RouteKey},
    message::Message,
};
use testkit::emulator::{Emulator, client_for, sns_client_for};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const REQUESTS: &str = "requests";
pub(crate) const RESPONSES: &str = "responses";
pub(crate) const PREFIX: &str = "mcp-proxy-responses";
/// What the names of workers' own queues begin with.
pub(crate) const WORKERS: &str = "mcp-worker";
/// The access key that the backend signs with.
pub(crate) const PROXY: &str = "proxy";

/// Hands what is delivered to the test.
#[derive(Debug)]
pub(crate) struct OpenInbox {
    delivered: mpsc::Sender<Inbound>,
    settlements: Mutex<Vec<Settlement>>,
    instance: InstanceId,
}

impl OpenInbox {
    /// Settles the next delivery so.
    pub(crate) fn settle_next(&self, settlement: Settlement) {
        self.settlements.lock().unwrap().push(settlement);
    }
}

impl Inbox for OpenInbox {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        let ours = inbound.route.as_ref().is_some_and(|route| route.belongs_to(&self.instance));
        let disposition = if ours { Disposition::Accepted } else { Disposition::Foreign };
        self.delivered.try_send(inbound).unwrap();
        self.settlements.lock().unwrap().pop().unwrap_or(Settlement::Now(disposition))
    }
}

/// An emulator with both topics, the server's queue, and the ARNs of the topics.
pub(crate) struct Topics {
    pub(crate) emulator: Emulator,
    pub(crate) requests: String,
    pub(crate) responses: String,
}

impl Topics {
    pub(crate) async fn start() -> Self {
        Self::with(REQUESTS, &[], &[]).await
    }

    pub(crate) async fn fifo() -> Self {
        Self::with("requests.fifo", &[("FifoTopic", "true")], &[("FifoQueue", "true")]).await
    }

    pub(crate) async fn with(
        name: &str,
        topic_attributes: &[(&str, &str)],
        queue_attributes: &[(&str, &str)],
    ) -> Self {
        let emulator = Emulator::start().await.unwrap();
        let requests = emulator.create_topic(name, topic_attributes).unwrap();
        let responses = emulator.create_topic(RESPONSES, &[]).unwrap();
        let queue = emulator.create_queue(name, queue_attributes).unwrap();
        emulator.let_send(&[&requests], &queue).unwrap();
        emulator.subscribe(&requests, &queue, true, None).unwrap();
        Self { emulator, requests, responses }
    }

    pub(crate) fn config(&self) -> SnsSqsConfig {
        SnsSqsConfig::new(self.requests.clone(), self.responses.clone())
    }

    /// The same with a reply queue that gets all answers, raw.
    pub(crate) fn config_with_queue(&self) -> SnsSqsConfig {
        let url = self.emulator.create_queue(RESPONSES, &[]).unwrap();
        self.emulator.let_send(&[&self.responses], &url).unwrap();
        self.emulator.subscribe(&self.responses, &url, true, None).unwrap();
        let mut config = self.config();
        config.sqs_queue_url = Some(url);
        config
    }

    /// The subscriptions of the response topic: their ARNs and queues.
    pub(crate) async fn subscriptions(&self) -> Vec<(String, String)> {
        let list = self.emulator.sns_client().list_subscriptions_by_topic().topic_arn(&self.responses);
        let found = list.send().await.unwrap().subscriptions.unwrap_or_default();
        found.into_iter().map(|found| (found.subscription_arn.unwrap(), found.endpoint.unwrap())).collect()
    }

    /// Publishes an answer, as the far end would.
    pub(crate) async fn publish(&self, session: &str, body: &str) {
        let session = MessageAttributeValue::builder().data_type("String").string_value(session);
        let publish = self.emulator.sns_client().publish().topic_arn(&self.responses).message(body);
        publish.message_attributes("SessionId", session.build().unwrap()).send().await.unwrap();
    }

    /// Takes and deletes what came to the server's queue, until `count` messages have come.
    pub(crate) async fn take(&self, count: usize) -> Vec<SqsMessage> {
        self.take_from(self.requests.rsplit(':').next().unwrap(), count).await
    }

    /// The same of another queue.
    pub(crate) async fn take_from(&self, queue: &str, count: usize) -> Vec<SqsMessage> {
        let far = self.emulator.client();
        let url = self.emulator.queue_url(queue);
        let mut taken = Vec::new();
        while taken.len() < count {
            let receive = far
                .receive_message()
                .queue_url(&url)
                .max_number_of_messages(10)
                .wait_time_seconds(20)
                .message_attribute_names("All")
                .message_system_attribute_names(MessageSystemAttributeName::All);
            let messages = timeout(PATIENCE, receive.send()).await.expect("messages in time").unwrap();
            for message in messages.messages.unwrap_or_default() {
                let receipt = message.receipt_handle().unwrap();
                far.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
                taken.push(message);
            }
        }
        taken
    }

    /// The name of the queue that the backend of this instance creates.
    pub(crate) fn queue_of(instance: &InstanceId) -> String {
        format!("{PREFIX}-{}", instance.as_str())
    }
}

/// A backend that is connected to an emulator and runs.
pub(crate) struct World {
    pub(crate) topics: Topics,
    pub(crate) backend: Arc<SnsSqsBackend>,
    pub(crate) inbox: Arc<OpenInbox>,
    pub(crate) received: mpsc::Receiver<Inbound>,
    pub(crate) instance: InstanceId,
    pub(crate) registry: Registry,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinSet<Result<(), BackendError>>,
}

impl World {
    /// Over a queue of its own making.
    pub(crate) async fn start() -> Self {
        let topics = Topics::start().await;
        let config = topics.config();
        Self::with(topics, config).await
    }

    pub(crate) async fn with(topics: Topics, config: SnsSqsConfig) -> Self {
        let mut registry = Registry::default();
        let (delivered, received) = mpsc::channel(10_000);
        let instance = InstanceId::random();
        let inbox =
            Arc::new(OpenInbox { delivered, settlements: Mutex::default(), instance: instance.clone() });
        let shared = Arc::clone(&inbox) as Arc<dyn Inbox>;
        let backend = connect(&topics, config, &instance, shared, &mut registry).await.unwrap();
        let backend = Arc::new(backend);
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        let (runner, stop) = (Arc::clone(&backend), shutdown.clone());
        running.spawn(async move { runner.run(stop).await });
        Self { topics, backend, inbox, received, instance, registry, shutdown, running }
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        &self.topics.emulator
    }

    pub(crate) fn route(&self) -> RouteKey {
        RouteKey::random(&self.instance)
    }

    /// What was delivered next.
    pub(crate) async fn delivered(&mut self) -> Inbound {
        timeout(PATIENCE, self.received.recv()).await.expect("a delivery in time").expect("an inbox")
    }

    /// Waits until readiness says yes.
    pub(crate) async fn ready(&self) {
        let mut looks = interval(Duration::from_millis(5));
        let poll = async {
            while self.backend.check().await.is_err() {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, poll).await.expect("readiness in time");
    }

    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.running.join_next()).await.expect("an end in time").unwrap().unwrap().unwrap();
    }

    pub(crate) fn calls(&self, action: &str) -> u64 {
        self.emulator().calls().of(PROXY, action)
    }

    /// The value of a counter, labels included in its name.
    pub(crate) fn count(&self, counter: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }
}

/// Connects, signing as the proxy.
pub(crate) async fn connect(
    topics: &Topics,
    config: SnsSqsConfig,
    instance: &InstanceId,
    inbox: Arc<dyn Inbox>,
    registry: &mut Registry,
) -> Result<SnsSqsBackend, BackendError> {
    let endpoint = topics.emulator.endpoint_url();
    let parts = SnsSqsParts {
        inbox,
        instance: instance.clone(),
        request_timeout_max: Duration::from_hours(1),
        registry,
        sns: Some(sns_client_for(&endpoint, PROXY)),
        sqs: Some(client_for(&endpoint, PROXY)),
        large_payloads: None,
    };
    SnsSqsBackend::connect(config, parts).await
}

pub(crate) fn outbound(route: &RouteKey, text: &str) -> Outbound {
    Outbound {
        remote: Remote { route: route.clone(), peer: None },
        about: None,
        number: 0,
        context: Context { version: None, deadline: Instant::now() + PATIENCE },
        message: Message::parse(text).unwrap(),
    }
}

pub(crate) fn call(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{{"name":"add"}}}}"#)
}

pub(crate) fn answer(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{}}}}"#)
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

/// Lets time pass for everything that waits, the emulator included.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
