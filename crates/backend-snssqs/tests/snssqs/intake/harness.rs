//! An intake between an emulator and a desk that takes all.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sns::types::MessageAttributeValue;
use aws_sdk_sqs::types::Message as SqsMessage;
use backend_snssqs::{SnsSqsIntake, SnsSqsIntakeConfig, SnsSqsIntakeParts};
use prometheus_client::registry::Registry;
use proxy_core::{
    ReplyAddress,
    error::BackendError,
    id::{InstanceId, RemoteSession},
    intake::{Arrival, Desk, Intake, Receipt, Reply, ReplyTo, Settled, Stopping, Taken},
    message::Message,
};
use testkit::emulator::{Emulator, client_for, sns_client_for};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, interval, timeout},
};

use crate::harness::{PATIENCE, REQUESTS, RESPONSES, Topics};

/// The access key that the worker signs with.
pub(super) const WORKER: &str = "worker";

/// Hands what arrives to the test.
#[derive(Debug)]
pub(super) struct OpenDesk {
    arrivals: mpsc::Sender<Arrival>,
    settlements: Mutex<VecDeque<Settled>>,
}

impl OpenDesk {
    /// Settles the next arrival that is not settled by now so.
    pub(super) fn settle_next(&self, settled: Settled) {
        self.settlements.lock().unwrap().push_back(settled);
    }
}

impl Desk for OpenDesk {
    fn take(&self, arrival: Arrival) -> Taken {
        self.arrivals.try_send(arrival).unwrap();
        let settled = self.settlements.lock().unwrap().pop_front().unwrap_or(Settled::Done);
        Taken { receipt: Receipt::Accepted, settled: Box::pin(async { settled }) }
    }
}

/// An intake that is connected to an emulator and runs.
pub(super) struct Worker {
    pub(super) intake: Arc<SnsSqsIntake>,
    pub(super) desk: Arc<OpenDesk>,
    pub(super) stopping: Stopping,
    arrivals: mpsc::Receiver<Arrival>,
    running: JoinSet<Result<(), BackendError>>,
}

impl Worker {
    pub(super) async fn start(emulator: &Emulator, config: SnsSqsIntakeConfig, sole: bool) -> Self {
        let (arrivals, received) = mpsc::channel(10_000);
        let endpoint = emulator.endpoint_url();
        let parts = SnsSqsIntakeParts {
            instance: InstanceId::random(),
            request_timeout_max: Duration::from_hours(1),
            sole,
            registry: &mut Registry::default(),
            sns: Some(sns_client_for(&endpoint, WORKER)),
            sqs: Some(client_for(&endpoint, WORKER)),
            large_payloads: None,
        };
        let intake = Arc::new(SnsSqsIntake::connect(config, parts).await.unwrap());
        let desk = Arc::new(OpenDesk { arrivals, settlements: Mutex::default() });
        let (stopping, mut running) = (Stopping::default(), JoinSet::new());
        let (runner, at, stop) = (Arc::clone(&intake), Arc::clone(&desk), stopping.clone());
        running.spawn(async move { runner.run(at, stop).await });
        Self { intake, desk, stopping, arrivals: received, running }
    }

    /// What arrived next.
    pub(super) async fn arrival(&mut self) -> Arrival {
        timeout(PATIENCE, self.arrivals.recv()).await.expect("an arrival in time").expect("a desk")
    }

    pub(super) async fn stop(&mut self) {
        self.stopping.drain.cancel();
        self.stopping.stop.cancel();
        timeout(PATIENCE, self.running.join_next()).await.expect("an end in time").unwrap().unwrap().unwrap();
    }

    /// Waits until the intake says that all is well.
    pub(super) async fn ready(&self) {
        let mut looks = interval(Duration::from_millis(5));
        let poll = async {
            while self.intake.check().await.is_err() {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, poll).await.expect("readiness in time");
    }
}

/// The queue of the request topic, as a worker reads it.
pub(super) fn config(topics: &Topics) -> SnsSqsIntakeConfig {
    SnsSqsIntakeConfig::new(topics.emulator.queue_url(topics.requests.rsplit(':').next().unwrap()))
}

/// Topics whose requests come in envelopes, or raw.
pub(super) async fn topics(raw: bool) -> Topics {
    if raw {
        return Topics::start().await;
    }
    let emulator = Emulator::start().await.unwrap();
    let requests = emulator.create_topic(REQUESTS, &[]).unwrap();
    let responses = emulator.create_topic(RESPONSES, &[]).unwrap();
    let queue = emulator.create_queue(REQUESTS, &[]).unwrap();
    emulator.let_send(&[&requests], &queue).unwrap();
    emulator.subscribe(&requests, &queue, false, None).unwrap();
    Topics { emulator, requests, responses }
}

/// A queue of this name that gets all of a topic's messages, raw.
pub(super) fn listen(topics: &Topics, topic: &str, name: &str, attributes: &[(&str, &str)]) {
    let url = topics.emulator.create_queue(name, attributes).unwrap();
    topics.emulator.let_send(&[topic], &url).unwrap();
    topics.emulator.subscribe(topic, &url, true, None).unwrap();
}

/// Publishes a request as asyncmcp's client does (0.2.1, `sns_sqs/client.py`).
pub(super) async fn publish(topics: &Topics, attributes: &[(&str, &str)], body: &str) {
    let mut publish = topics.emulator.sns_client().publish().topic_arn(&topics.requests).message(body);
    for (name, value) in attributes {
        let kind = if *name == "Timestamp" { "Number" } else { "String" };
        let value = MessageAttributeValue::builder().data_type(kind).string_value(*value);
        publish = publish.message_attributes(*name, value.build().unwrap());
    }
    publish.send().await.unwrap();
}

/// A message for the client at `to`.
pub(super) fn reply(to: ReplyAddress, session: Option<&str>, text: &str) -> Reply {
    Reply {
        session: session.map(|session| RemoteSession::parse(session).unwrap()),
        to: ReplyTo::Address(to),
        request: None,
        context: None,
        payloads: None,
        deadline: Instant::now() + PATIENCE,
        message: Message::parse(text).unwrap(),
    }
}

/// Each attribute with its type and value; of the time only the type.
pub(super) fn attributes(message: &SqsMessage) -> BTreeMap<String, (String, String)> {
    let attributes = message.message_attributes().unwrap().iter();
    attributes
        .map(|(name, value)| {
            let text = if name == "Timestamp" { "" } else { value.string_value().unwrap() };
            (name.clone(), (value.data_type().to_owned(), text.to_owned()))
        })
        .collect()
}
