//! Our own proxy's ends against ours of the worker.

use std::{sync::Arc, time::Duration};

use backend_webhook::{
    StreamableHttpBackend, StreamableHttpConfig, StreamableHttpIntake, StreamableHttpIntakeConfig,
    StreamableHttpIntakeParts, StreamableHttpParts, WebhookBackend, WebhookConfig, WebhookIntake,
    WebhookIntakeConfig, WebhookIntakeParts, WebhookParts,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use proxy_core::{
    ProtocolVersion, ProxyContext,
    backend::{Backend, Context, Disposition, Event, Inbound, Inbox, Outbound, Peer, Remote, Settlement},
    error::BackendError,
    id::{InstanceId, RemoteSession, RouteKey, WireId},
    intake::{Arrival, ArrivalEvent, Intake, Receipt, Reply, Stopping},
    message::Message,
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::desk::{Arrivals, PATIENCE, ScriptedDesk, in_time, next, text};

/// Hands what is delivered to the test.
#[derive(Debug)]
struct Delivered(mpsc::Sender<Inbound>);

impl Inbox for Delivered {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        self.0.try_send(inbound).unwrap();
        Settlement::Now(Disposition::Accepted)
    }
}

/// A session of our proxy's with our worker.
struct Between {
    backend: Arc<dyn Backend>,
    delivered: mpsc::Receiver<Inbound>,
    intake: Arc<dyn Intake>,
    desk: Arc<ScriptedDesk>,
    arrivals: Arrivals,
    remote: Remote,
    registry: Registry,
    tasks: JoinSet<Result<(), BackendError>>,
}

impl Between {
    fn run(
        intake: Arc<dyn Intake>,
        backend: Arc<dyn Backend>,
        delivered: mpsc::Receiver<Inbound>,
        instance: &InstanceId,
        registry: Registry,
    ) -> Self {
        let (desk, arrivals) = ScriptedDesk::new();
        let mut tasks = JoinSet::new();
        let (running, taking) = (Arc::clone(&intake), Arc::clone(&desk));
        tasks.spawn(async move { running.run(taking, Stopping::default()).await });
        let running = Arc::clone(&backend);
        tasks.spawn(async move { running.run(CancellationToken::new()).await });
        let remote = Remote { route: RouteKey::random(instance), peer: None };
        Self { backend, delivered, intake, desk, arrivals, remote, registry, tasks }
    }

    async fn webhook() -> Self {
        let (instance, mut registry) = (InstanceId::random(), Registry::default());
        let parts = WebhookIntakeParts {
            instance: InstanceId::random(),
            request_timeout_max: Duration::from_mins(1),
            registry: &mut registry,
            listener: Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
            client: None,
        };
        let intake = WebhookIntake::connect(WebhookIntakeConfig::default(), parts).await.unwrap();
        let (sender, delivered) = mpsc::channel(64);
        let config = WebhookConfig::new(format!("http://{}/mcp/request", intake.address()));
        let parts = WebhookParts {
            inbox: Arc::new(Delivered(sender)),
            instance: instance.clone(),
            registry: &mut Registry::default(),
            client: None,
            listener: Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
        };
        let backend = WebhookBackend::connect(config, parts).await.unwrap();
        Self::run(Arc::new(intake), Arc::new(backend), delivered, &instance, registry)
    }

    async fn hybrid(webhook_tools: &[&str], webhook_url: Option<&str>) -> Self {
        let (instance, mut registry) = (InstanceId::random(), Registry::default());
        let mut config = StreamableHttpIntakeConfig::default();
        config.webhook_tools = webhook_tools.iter().map(|&tool| tool.to_owned()).collect();
        let parts = StreamableHttpIntakeParts {
            instance: InstanceId::random(),
            request_timeout_max: Duration::from_mins(1),
            registry: &mut registry,
            listener: Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
            client: None,
        };
        let intake = StreamableHttpIntake::connect(config, parts).await.unwrap();
        let (sender, delivered) = mpsc::channel(64);
        let mut config = StreamableHttpConfig::new(format!("http://{}/mcp", intake.address()));
        config.webhook_url = webhook_url.map(str::to_owned);
        let parts = StreamableHttpParts {
            inbox: Arc::new(Delivered(sender)),
            instance: instance.clone(),
            request_timeout_max: Duration::from_mins(1),
            registry: &mut Registry::default(),
            listener: match webhook_url {
                Some(_) => Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
                None => None,
            },
            tls: None,
        };
        let backend = StreamableHttpBackend::connect(config, parts).await.unwrap();
        Self::run(Arc::new(intake), Arc::new(backend), delivered, &instance, registry)
    }

    fn outbound(&self, number: u64, method: &str, params: &str) -> Outbound {
        let wire = WireId::new(self.remote.route.clone(), number);
        let text = format!(r#"{{"jsonrpc":"2.0","id":"{wire}","method":"{method}","params":{params}}}"#);
        let context =
            Context { version: Some(ProtocolVersion::V2025_06_18), deadline: Instant::now() + PATIENCE };
        Outbound {
            remote: self.remote.clone(),
            about: Some(wire),
            number,
            context,
            message: Message::parse(text).unwrap(),
        }
    }

    /// Sends a request, answers it as the worker would, and returns it as it arrived and its answer as it was delivered.
    async fn exchange(
        &mut self,
        opened: Option<&Arrival>,
        outbound: Outbound,
        receipt: Option<Receipt>,
    ) -> (Arrival, Inbound) {
        if let Some(receipt) = receipt {
            self.desk.answer_next(receipt);
        }
        let answer =
            format!(r#"{{"jsonrpc":"2.0","id":"{}","result":{{}}}}"#, outbound.about.as_ref().unwrap());
        let mut sending = JoinSet::new();
        let backend = Arc::clone(&self.backend);
        sending.spawn(async move { backend.send(outbound).await });
        let arrival = next(&mut self.arrivals).await;
        let reply = Reply {
            session: self.session(),
            to: opened.unwrap_or(&arrival).reply.clone().unwrap(),
            request: arrival.reply.clone(),
            context: Some(ProxyContext { v: 1, eras: vec!["legacy".into()], ..ProxyContext::default() }),
            payloads: None,
            deadline: Instant::now() + PATIENCE,
            message: Message::parse(answer.as_str()).unwrap(),
        };
        in_time(self.intake.reply(reply)).await.unwrap();
        in_time(sending.join_next()).await.unwrap().unwrap().unwrap();
        let inbound = in_time(self.delivered.recv()).await.unwrap();
        let Event::Message(message) = &inbound.event else { panic!("{inbound:?}") };
        assert_eq!(message.as_str(), answer);
        (arrival, inbound)
    }

    fn session(&self) -> Option<RemoteSession> {
        let own = self.remote.peer.as_ref().and_then(|peer| peer.session.clone());
        own.or_else(|| RemoteSession::parse(self.remote.route.as_str()).ok())
    }

    fn callbacks(&self) -> usize {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let posted = text.lines().filter(|line| line.starts_with("mcp_worker_intake_api_calls_total{"));
        posted
            .map(|line| {
                assert!(line.contains(r#"error_type="none""#), "{line}");
                line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()
            })
            .sum()
    }
}

const INITIALIZE: &str = r#"{"protocolVersion":"2025-06-18"}"#;

#[tokio::test]
async fn over_webhooks() {
    let mut between = Between::webhook().await;
    let (opened, answer) = between.exchange(None, between.outbound(0, "initialize", INITIALIZE), None).await;
    assert_eq!(opened.session, between.session());
    assert!(!text(&opened).contains("webhookUrl"));
    assert_eq!(answer.peer.as_ref().map(|peer| peer.eras.len()), Some(1));
    between.remote.peer = answer.peer.map(Arc::new);
    let call = between.outbound(1, "tools/call", r#"{"name":"add"}"#);
    let (call, _) = between.exchange(Some(&opened), call, None).await;
    assert!(call.context.is_some_and(|context| context.deadline.is_some()));
    assert_eq!(between.callbacks(), 2);
    in_time(between.backend.close(&between.remote)).await.unwrap();
    assert!(matches!(next(&mut between.arrivals).await.event, ArrivalEvent::End));
    assert!(between.tasks.try_join_next().is_none());
}

#[tokio::test]
async fn over_streamable_http_with_webhooks() {
    over_streamable_http(Between::hybrid(&["add"], Some("")).await, 1).await;
}

#[tokio::test]
async fn over_streamable_http_alone() {
    over_streamable_http(Between::hybrid(&["add"], None).await, 0).await;
}

async fn over_streamable_http(mut between: Between, callbacks: usize) {
    // as the worker names sessions
    let session = RemoteSession::parse(RouteKey::random(&InstanceId::random()).as_str()).unwrap();
    between.remote.peer = Some(Arc::new(Peer { session: Some(session.clone()), ..Peer::default() }));
    let mut outbound = between.outbound(0, "initialize", INITIALIZE);
    outbound.remote.peer = None;
    let (opened, answer) = between.exchange(None, outbound, Some(Receipt::Opened(session.clone()))).await;
    let context = opened.context.as_ref().unwrap();
    assert!(context.deadline.is_some() && context.reply.is_some() == (callbacks > 0), "{context:?}");
    let peer = answer.peer.unwrap();
    assert_eq!((peer.session.as_ref(), peer.eras.len()), (Some(&session), 1));
    between.remote.peer = Some(Arc::new(peer));
    for (tool, number) in [("subtract", 1), ("add", 2)] {
        let call = between.outbound(number, "tools/call", &format!(r#"{{"name":"{tool}"}}"#));
        let (call, _) = between.exchange(Some(&opened), call, None).await;
        assert_eq!(call.session.as_ref(), Some(&session));
        assert!(call.context.is_some_and(|context| context.deadline.is_some()));
    }
    assert_eq!(between.callbacks(), callbacks);
    in_time(between.backend.close(&between.remote)).await.unwrap();
    assert!(matches!(next(&mut between.arrivals).await.event, ArrivalEvent::End));
    assert!(between.tasks.try_join_next().is_none());
}
