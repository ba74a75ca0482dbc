//! Messages over the limit of SNS, by way of an emulator's S3: both our ends, raw and in envelopes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs must be there")]

use std::{sync::Arc, time::Duration};

use aws_common::client::SdkConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use backend_snssqs::{
    LargePayloads, LargePayloadsConfig, SnsSqsBackend, SnsSqsConfig, SnsSqsIntake, SnsSqsIntakeConfig,
    SnsSqsIntakeParts, SnsSqsParts,
};
use prometheus_client::registry::Registry;
use proxy_core::{
    ReplyAddress,
    backend::{Backend, Context, Disposition, Event, Inbound, Inbox, Outbound, Peer, Remote, Settlement},
    error::ErrorKind,
    id::{InstanceId, RemoteSession, RouteKey},
    intake::{Arrival, ArrivalEvent, Desk, Intake, Receipt, Reply, ReplyTo, Settled, Stopping, Taken},
    message::Message,
};
use testkit::emulator::{Emulator, client_for, sns_client_for};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);
const BUCKET: &str = "my-payloads";
const ANNOUNCED: &str = "my-payloads/mcp/";

#[derive(Debug)]
struct OpenInbox(mpsc::Sender<Inbound>);

impl Inbox for OpenInbox {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        self.0.try_send(inbound).unwrap();
        Settlement::Now(Disposition::Accepted)
    }
}

#[derive(Debug)]
struct OpenDesk(mpsc::Sender<Arrival>);

impl Desk for OpenDesk {
    fn take(&self, arrival: Arrival) -> Taken {
        self.0.try_send(arrival).unwrap();
        Taken { receipt: Receipt::Accepted, settled: Box::pin(async { Settled::Done }) }
    }
}

/// Both ends, running.
struct Ends {
    emulator: Emulator,
    responses: String,
    backend: Arc<SnsSqsBackend>,
    intake: Arc<SnsSqsIntake>,
    route: RouteKey,
    inbounds: mpsc::Receiver<Inbound>,
    arrivals: mpsc::Receiver<Arrival>,
    shutdown: CancellationToken,
    stopping: Stopping,
    running: JoinSet<Result<(), proxy_core::error::BackendError>>,
}

impl Ends {
    async fn start(raw: bool) -> Self {
        let emulator = Emulator::start().await.unwrap();
        emulator.create_bucket(BUCKET);
        let requests = emulator.create_topic("requests", &[]).unwrap();
        let responses = emulator.create_topic("responses", &[]).unwrap();
        let queue = emulator.create_queue("requests", &[]).unwrap();
        emulator.let_send(&[&requests], &queue).unwrap();
        emulator.subscribe(&requests, &queue, raw, None).unwrap();
        let endpoint = emulator.endpoint_url();
        let instance = InstanceId::random();
        let (sender, inbounds) = mpsc::channel(100);
        let mut config = SnsSqsConfig::new(requests, responses.clone());
        config.raw_message_delivery = raw;
        let parts = SnsSqsParts {
            inbox: Arc::new(OpenInbox(sender)),
            instance: instance.clone(),
            request_timeout_max: Duration::from_hours(1),
            registry: &mut Registry::default(),
            sns: Some(sns_client_for(&endpoint, "proxy")),
            sqs: Some(client_for(&endpoint, "proxy")),
            large_payloads: Some(payloads(&emulator)),
        };
        let backend = Arc::new(SnsSqsBackend::connect(config, parts).await.unwrap());
        let parts = SnsSqsIntakeParts {
            instance: InstanceId::random(),
            request_timeout_max: Duration::from_hours(1),
            sole: false,
            registry: &mut Registry::default(),
            sns: Some(sns_client_for(&endpoint, "worker")),
            sqs: Some(client_for(&endpoint, "worker")),
            large_payloads: Some(payloads(&emulator)),
        };
        let intake = SnsSqsIntake::connect(SnsSqsIntakeConfig::new(queue), parts).await.unwrap();
        let intake = Arc::new(intake);
        let (shutdown, stopping, mut running) =
            (CancellationToken::new(), Stopping::default(), JoinSet::new());
        let (runner, stop) = (Arc::clone(&backend), shutdown.clone());
        running.spawn(async move { runner.run(stop).await });
        let (sender, arrivals) = mpsc::channel(100);
        let (runner, until) = (Arc::clone(&intake), stopping.clone());
        running.spawn(async move { runner.run(Arc::new(OpenDesk(sender)), until).await });
        let route = RouteKey::random(&instance);
        let ends = Self {
            emulator,
            responses,
            backend,
            intake,
            route,
            inbounds,
            arrivals,
            shutdown,
            stopping,
            running,
        };
        let mut looks = interval(Duration::from_millis(5));
        let ready = async {
            while ends.backend.check().await.is_err() || ends.intake.check().await.is_err() {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, ready).await.expect("readiness in time");
        ends
    }

    async fn inbound(&mut self) -> String {
        let inbound = timeout(PATIENCE, self.inbounds.recv()).await.expect("in time").unwrap();
        assert_eq!(inbound.route.as_ref(), Some(&self.route));
        match inbound.event {
            Event::Message(message) => message.into_text(),
            other => panic!("{other:?}"),
        }
    }

    async fn arrival(&mut self) -> Arrival {
        timeout(PATIENCE, self.arrivals.recv()).await.expect("in time").unwrap()
    }

    fn outbound(&self, peer: Option<Peer>, text: &str) -> Outbound {
        Outbound {
            remote: Remote { route: self.route.clone(), peer: peer.map(Arc::new) },
            about: None,
            number: 0,
            context: Context { version: None, deadline: Instant::now() + PATIENCE },
            message: Message::parse(text).unwrap(),
        }
    }

    fn reply(&self, payloads: Option<&str>, text: &str) -> Reply {
        Reply {
            session: RemoteSession::parse(self.route.as_str()).ok(),
            to: ReplyTo::Address(ReplyAddress::Sns(self.responses.as_str().into())),
            request: None,
            context: None,
            payloads: payloads.map(Into::into),
            deadline: Instant::now() + PATIENCE,
            message: Message::parse(text).unwrap(),
        }
    }

    fn kept(&self) -> usize {
        self.emulator.objects(BUCKET).len()
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        self.stopping.drain.cancel();
        self.stopping.stop.cancel();
        while let Some(ended) = timeout(PATIENCE, self.running.join_next()).await.expect("in time") {
            ended.unwrap().unwrap();
        }
    }
}

fn payloads(emulator: &Emulator) -> LargePayloads {
    let credentials = Credentials::new("payloads", "secret", None, None, "test");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let mut settings = LargePayloadsConfig::default();
    settings.bucket = BUCKET.into();
    settings.prefix = "mcp/".into();
    settings.endpoint_url = Some(emulator.endpoint_url());
    LargePayloads::over_sdk(settings, &sdk).unwrap()
}

fn peer(payloads: Option<&str>, owner: Option<&str>) -> Peer {
    Peer {
        eras: vec!["legacy".into()],
        payloads: payloads.map(Into::into),
        owner: owner.map(Into::into),
        ..Peer::default()
    }
}

fn text(arrival: Arrival) -> String {
    match arrival.event {
        ArrivalEvent::Message(message) => message.into_text(),
        ArrivalEvent::End => panic!("a message"),
    }
}

fn large_call() -> String {
    let text = "ä".repeat(1_500_000);
    format!(r#"{{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{{"name":"{text}"}}}}"#)
}

fn large_answer() -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"1","result":{{"text":"{}"}}}}"#, "ö".repeat(1_500_000))
}

#[tokio::test]
async fn three_megabytes_pass_both_ways_and_what_a_topic_delivered_stays() {
    for raw in [true, false] {
        let mut ends = Ends::start(raw).await;
        let call = ends.outbound(Some(peer(Some(ANNOUNCED), None)), &large_call());
        ends.backend.send(call).await.unwrap();
        let arrival = ends.arrival().await;
        assert_eq!(arrival.context.as_ref().unwrap().payloads.as_deref(), Some(ANNOUNCED), "raw: {raw}");
        assert_eq!(arrival.session.as_ref().map(RemoteSession::as_str), Some(ends.route.as_str()));
        assert!(arrival.client_id.is_some() && text(arrival) == large_call());
        ends.intake.reply(ends.reply(Some(ANNOUNCED), &large_answer())).await.unwrap();
        assert!(ends.inbound().await == large_answer());
        assert_eq!(ends.kept(), 2);

        // to the worker's own queue it goes without a topic
        let owner = ends.intake.owner().map(str::to_owned);
        let call = ends.outbound(Some(peer(Some(ANNOUNCED), owner.as_deref())), &large_call());
        ends.backend.send(call).await.unwrap();
        let arrival = ends.arrival().await;
        assert!(arrival.delivery.to_owner && text(arrival) == large_call());
        let mut looks = interval(Duration::from_millis(5));
        let deleted = async {
            while ends.kept() > 2 {
                looks.tick().await;
            }
        };
        timeout(PATIENCE, deleted).await.expect("a delete in time");
        ends.stop().await;
    }
}

#[tokio::test]
async fn the_limit_is_that_of_the_topic_and_peers_that_announce_nothing_get_an_error() {
    let mut ends = Ends::start(true).await;
    let over = format!(r#"{{"jsonrpc":"2.0","id":"1","result":{{"text":"{}"}}}}"#, "x".repeat(300 << 10));
    ends.intake.reply(ends.reply(Some(ANNOUNCED), &over)).await.unwrap();
    assert!(ends.inbound().await == over);
    assert_eq!(ends.kept(), 1);
    for announced in [None, Some("my-payloads/")] {
        let error = ends.intake.reply(ends.reply(announced, &over)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        let call = ends.outbound(Some(peer(announced, None)), &large_call());
        assert_eq!(ends.backend.send(call).await.unwrap_err().kind(), ErrorKind::TooLarge);
    }
    let call = ends.outbound(None, &large_call());
    assert_eq!(ends.backend.send(call).await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(ends.kept(), 1);
    ends.stop().await;
}

#[tokio::test]
async fn in_envelopes_too_only_the_configured_bucket_and_prefix_are_read() {
    let ends = Ends::start(false).await;
    ends.emulator.create_bucket("secrets");
    ends.emulator.put_object("secrets", "mcp/k", large_call());
    let read = ends.emulator.calls().of("payloads", "GetObject");
    let pointer = r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"secrets","s3Key":"mcp/k"}]"#;
    let topic = ends.responses.replace("responses", "requests");
    ends.emulator.sns_client().publish().topic_arn(topic).message(pointer).send().await.unwrap();
    let mut looks = interval(Duration::from_millis(5));
    let settled = async {
        // there is no dead-letter queue
        while ends.emulator.calls().of("worker", "DeleteMessageBatch") == 0 {
            looks.tick().await;
        }
    };
    timeout(PATIENCE, settled).await.expect("an end in time");
    assert_eq!(ends.emulator.calls().of("payloads", "GetObject"), read);
    assert_eq!(ends.emulator.objects("secrets").len(), 1);
    ends.stop().await;
}
