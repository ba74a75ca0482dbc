//! Both ends of SQS at one emulator: a proxy's backend and a worker's intake, each with what it hands over.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_common::client::SdkConfig;
use aws_sdk_sqs::{
    config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider},
    types::{Message as SqsMessage, MessageAttributeValue},
};
use backend_sqs::{
    LargePayloads, LargePayloadsConfig, SqsBackend, SqsConfig, SqsIntake, SqsIntakeConfig, SqsIntakeParts,
    SqsParts,
};
use prometheus_client::registry::Registry;
use proxy_core::{
    ReplyAddress,
    backend::{Backend, Context, Disposition, Inbound, Inbox, Outbound, Peer, Remote, Settlement},
    error::BackendError,
    id::{InstanceId, RemoteSession, RouteKey},
    intake::{Arrival, Desk, Intake, Receipt, Reply, ReplyTo, Settled, Stopping, Taken},
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
pub(crate) const LETTERS: &str = "letters";
pub(crate) const BUCKET: &str = "my-payloads";
pub(crate) const ANNOUNCED: &str = "my-payloads/mcp/";

/// Hands over all that comes, and accepts it.
#[derive(Debug)]
struct OpenInbox(mpsc::Sender<Inbound>);

impl Inbox for OpenInbox {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        self.0.try_send(inbound).unwrap();
        Settlement::Now(Disposition::Accepted)
    }
}

/// Hands over all that comes, and settles it as the test said, or as done.
#[derive(Debug)]
pub(crate) struct OpenDesk {
    arrivals: mpsc::Sender<Arrival>,
    pub(crate) settlements: Mutex<VecDeque<Settled>>,
}

impl Desk for OpenDesk {
    fn take(&self, arrival: Arrival) -> Taken {
        self.arrivals.try_send(arrival).unwrap();
        let settled = self.settlements.lock().unwrap().pop_front().unwrap_or(Settled::Done);
        Taken { receipt: Receipt::Accepted, settled: Box::pin(async { settled }) }
    }
}

/// A proxy's end that runs.
pub(crate) struct Proxy {
    pub(crate) backend: Arc<SqsBackend>,
    pub(crate) instance: InstanceId,
    inbounds: mpsc::Receiver<Inbound>,
    shutdown: CancellationToken,
    running: JoinSet<Result<(), BackendError>>,
}

/// A worker's end that runs.
pub(crate) struct Worker {
    pub(crate) intake: Arc<SqsIntake>,
    pub(crate) desk: Arc<OpenDesk>,
    arrivals: mpsc::Receiver<Arrival>,
    stopping: Stopping,
    running: JoinSet<Result<(), BackendError>>,
}

/// An emulator with the queues and a bucket.
pub(crate) async fn emulator() -> Emulator {
    let emulator = Emulator::start().await.unwrap();
    for name in [LETTERS, REPLIES] {
        emulator.create_queue(name, &[]).unwrap();
    }
    let redrive =
        r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:letters","maxReceiveCount":"100"}"#;
    emulator.create_queue(REQUESTS, &[("RedrivePolicy", redrive)]).unwrap();
    emulator.create_bucket(BUCKET);
    emulator
}

pub(crate) fn sdk(emulator: &Emulator) -> SdkConfig {
    let credentials = Credentials::new("payloads", "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(emulator.endpoint_url())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build()
}

pub(crate) fn settings(emulator: &Emulator) -> LargePayloadsConfig {
    let mut settings = LargePayloadsConfig::default();
    settings.bucket = BUCKET.into();
    settings.prefix = "mcp/".into();
    settings.endpoint_url = Some(emulator.endpoint_url());
    settings
}

pub(crate) fn payloads(emulator: &Emulator) -> LargePayloads {
    LargePayloads::over_sdk(settings(emulator), &sdk(emulator)).unwrap()
}

impl Proxy {
    pub(crate) async fn start(emulator: &Emulator, large_payloads: Option<LargePayloads>) -> Self {
        Self::start_as(emulator, InstanceId::random(), large_payloads).await
    }

    pub(crate) async fn start_as(
        emulator: &Emulator,
        instance: InstanceId,
        large_payloads: Option<LargePayloads>,
    ) -> Self {
        let mut config = SqsConfig::new(emulator.queue_url(REQUESTS));
        config.response_queue_url = Some(emulator.queue_url(REPLIES));
        let (sender, inbounds) = mpsc::channel(100);
        let parts = SqsParts {
            inbox: Arc::new(OpenInbox(sender)),
            instance: instance.clone(),
            request_timeout_max: Duration::from_hours(1),
            registry: &mut Registry::default(),
            client: Some(client_for(&emulator.endpoint_url(), "proxy")),
            large_payloads,
        };
        let backend = Arc::new(SqsBackend::connect(config, parts).await.unwrap());
        let (shutdown, mut running) = (CancellationToken::new(), JoinSet::new());
        let (runner, stop) = (Arc::clone(&backend), shutdown.clone());
        running.spawn(async move { runner.run(stop).await });
        Self { backend, instance, inbounds, shutdown, running }
    }

    /// What was delivered next.
    pub(crate) async fn inbound(&mut self) -> Inbound {
        timeout(PATIENCE, self.inbounds.recv()).await.expect("a delivery in time").expect("an inbox")
    }

    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.running.join_next()).await.expect("an end in time").unwrap().unwrap().unwrap();
    }
}

impl Worker {
    pub(crate) async fn start(
        emulator: &Emulator,
        sole: bool,
        large_payloads: Option<LargePayloads>,
    ) -> Self {
        let (arrivals, received) = mpsc::channel(100);
        let parts = SqsIntakeParts {
            instance: InstanceId::random(),
            sole,
            request_timeout_max: Duration::from_hours(1),
            registry: &mut Registry::default(),
            client: Some(client_for(&emulator.endpoint_url(), "worker")),
            large_payloads,
        };
        let config = SqsIntakeConfig::new(emulator.queue_url(REQUESTS));
        let intake = Arc::new(SqsIntake::connect(config, parts).await.unwrap());
        let desk = Arc::new(OpenDesk { arrivals, settlements: Mutex::default() });
        let (stopping, mut running) = (Stopping::default(), JoinSet::new());
        let (runner, at, until) = (Arc::clone(&intake), Arc::clone(&desk), stopping.clone());
        running.spawn(async move { runner.run(at, until).await });
        Self { intake, desk, arrivals: received, stopping, running }
    }

    /// What arrived next.
    pub(crate) async fn arrival(&mut self) -> Arrival {
        timeout(PATIENCE, self.arrivals.recv()).await.expect("an arrival in time").expect("a desk")
    }

    pub(crate) async fn stop(mut self) {
        self.stopping.drain.cancel();
        self.stopping.stop.cancel();
        timeout(PATIENCE, self.running.join_next()).await.expect("an end in time").unwrap().unwrap().unwrap();
    }
}

pub(crate) fn outbound(route: &RouteKey, peer: Option<Peer>, text: &str) -> Outbound {
    Outbound {
        remote: Remote { route: route.clone(), peer: peer.map(Arc::new) },
        about: None,
        number: 0,
        context: Context { version: None, deadline: Instant::now() + PATIENCE },
        message: Message::parse(text).unwrap(),
    }
}

/// A far end that announced that it reads these payloads.
pub(crate) fn peer(payloads: Option<&str>) -> Peer {
    Peer { eras: vec!["legacy".into()], payloads: payloads.map(Into::into), ..Peer::default() }
}

pub(crate) fn reply(emulator: &Emulator, route: &RouteKey, payloads: Option<&str>, text: &str) -> Reply {
    Reply {
        session: RemoteSession::parse(route.as_str()).ok(),
        to: ReplyTo::Address(ReplyAddress::Sqs(emulator.queue_url(REPLIES).into())),
        request: None,
        context: None,
        payloads: payloads.map(Into::into),
        deadline: Instant::now() + PATIENCE,
        message: Message::parse(text).unwrap(),
    }
}

/// A call of 3 MB.
pub(crate) fn large_call() -> String {
    let text = "ä".repeat(1_500_000);
    format!(r#"{{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{{"name":"{text}"}}}}"#)
}

/// Its answer, as large.
pub(crate) fn large_answer() -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"1","result":{{"text":"{}"}}}}"#, "ö".repeat(1_500_000))
}

pub(crate) fn small_answer(id: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{}}}}"#)
}

/// What the Extended Client Libraries put into a message (WIRE.md, "Sizes").
pub(crate) fn pointer(bucket: &str, key: &str) -> String {
    format!(
        r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{{"s3BucketName":"{bucket}","s3Key":"{key}"}}]"#
    )
}

/// Puts a message on a queue.
pub(crate) async fn put(emulator: &Emulator, queue: &str, attributes: &[(&str, &str)], body: &str) {
    let mut request =
        emulator.client().send_message().queue_url(emulator.queue_url(queue)).message_body(body);
    for (name, value) in attributes {
        let kind = if name.ends_with("Size") { "Number" } else { "String" };
        let value = MessageAttributeValue::builder().data_type(kind).string_value(*value);
        request = request.message_attributes(*name, value.build().unwrap());
    }
    request.send().await.unwrap();
}

/// Takes the message that a queue gets.
pub(crate) async fn take(emulator: &Emulator, queue: &str) -> SqsMessage {
    let (client, url) = (emulator.client(), emulator.queue_url(queue));
    let receive =
        client.receive_message().queue_url(&url).wait_time_seconds(20).message_attribute_names("All");
    let received = timeout(PATIENCE, receive.send()).await.expect("a message in time").unwrap();
    let message = received.messages.unwrap().remove(0);
    client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(message.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    message
}

pub(crate) fn held(emulator: &Emulator, queue: &str) -> usize {
    let depth = emulator.depth(queue).unwrap();
    depth.visible + depth.in_flight + depth.delayed
}

/// How often the payloads' client did this, the look at start left out: that stores, reads and deletes one for each end.
pub(crate) fn calls(emulator: &Emulator, action: &str, ends: u64) -> u64 {
    emulator.calls().of("payloads", action) - ends
}

/// Waits until no payload is left.
pub(crate) async fn no_payloads(emulator: &Emulator) {
    eventually(|| emulator.objects(BUCKET).is_empty()).await;
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
