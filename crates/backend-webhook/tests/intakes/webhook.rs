//! The webhook intake.

mod callbacks;
mod contract;
mod door;
mod operator;
mod receipts;

use std::{sync::Arc, time::Duration};

use backend_webhook::{WebhookIntake, WebhookIntakeConfig, WebhookIntakeParts};
use prometheus_client::{encoding::text::encode, registry::Registry};
use proxy_core::{
    ReplyAddress,
    error::BackendError,
    id::InstanceId,
    intake::{Intake, Reply, ReplyTo, Stopping},
    message::Message,
};
use reqwest::{Client, RequestBuilder, Response};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};

use crate::desk::{Arrivals, PATIENCE, ScriptedDesk, client, in_time, session};

pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"w:1","method":"initialize","params":{"protocolVersion":"2025-06-18","_meta":{"webhookUrl":"http://127.0.0.1:1/webhook"}}}"#;
pub(crate) const CALL: &str = r#"{"jsonrpc":"2.0","id":"w:2","method":"tools/call","params":{"name":"add"}}"#;
pub(crate) const ANSWER: &str = r#"{"jsonrpc":"2.0","id":"w:2","result":{}}"#;

pub(crate) struct World {
    pub(crate) intake: Arc<WebhookIntake>,
    pub(crate) desk: Arc<ScriptedDesk>,
    pub(crate) arrivals: Arrivals,
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) stopping: Stopping,
    running: JoinSet<Result<(), BackendError>>,
    registry: Registry,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(WebhookIntakeConfig::default()).await
    }

    pub(crate) async fn with(config: WebhookIntakeConfig) -> Self {
        let path = config.path.clone();
        let mut registry = Registry::default();
        let parts = WebhookIntakeParts {
            instance: InstanceId::random(),
            request_timeout_max: Duration::from_mins(1),
            registry: &mut registry,
            listener: Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
            client: None,
        };
        let intake = Arc::new(WebhookIntake::connect(config, parts).await.unwrap());
        let (desk, arrivals) = ScriptedDesk::new();
        let stopping = Stopping::default();
        let mut running = JoinSet::new();
        running.spawn({
            let (intake, desk, stopping) = (Arc::clone(&intake), Arc::clone(&desk), stopping.clone());
            async move { intake.run(desk, stopping).await }
        });
        let url = format!("http://{}{path}", intake.address());
        Self { intake, desk, arrivals, client: client(), url, stopping, running, registry }
    }

    /// A POST as asyncmcp's client makes it.
    pub(crate) fn post(&self, body: &str) -> RequestBuilder {
        let request = self.client.post(&self.url).header("x-client-id", "client");
        request.header("content-type", "application/json").body(body.to_owned()).timeout(PATIENCE)
    }

    /// Waits until the intake has stopped.
    pub(crate) async fn stopped(&mut self) -> Result<(), BackendError> {
        in_time(self.running.join_next()).await.unwrap().unwrap()
    }

    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }
}

/// The settings with something changed.
pub(crate) fn configured(change: impl FnOnce(&mut WebhookIntakeConfig)) -> WebhookIntakeConfig {
    let mut config = WebhookIntakeConfig::default();
    change(&mut config);
    config
}

/// A reply that is waited for for so long.
pub(crate) fn reply(url: &str, text: &str, patience: Duration) -> Reply {
    Reply {
        session: Some(session("s-1")),
        to: ReplyTo::Address(ReplyAddress::Url(url.into())),
        request: None,
        context: None,
        payloads: None,
        deadline: Instant::now() + patience,
        message: Message::parse(text).unwrap(),
    }
}

/// Status and JSON of a response.
pub(crate) async fn said(response: Response) -> (u16, serde_json::Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn it_ends_when_told_to_and_runs_once() {
    let mut world = World::start().await;
    assert!(world.intake.check().await.is_ok());
    let (stop, never) = tokio::sync::oneshot::channel::<()>();
    let settled = Box::pin(async move {
        assert!(never.await.is_ok());
        proxy_core::intake::Settled::Done
    });
    world.desk.settle_next(proxy_core::intake::Receipt::Accepted, settled);
    world.post(CALL).header("x-session-id", "s").send().await.unwrap();
    world.stopping.drain.cancel();
    world.post(CALL).header("x-session-id", "s").send().await.unwrap();
    world.stopping.stop.cancel();
    stop.send(()).unwrap();
    world.stopped().await.unwrap();
    assert!(world.intake.check().await.is_err());
    assert!(world.post(CALL).send().await.unwrap_err().is_connect());
    let again = world.intake.run(world.desk, Stopping::default()).await;
    assert!(again.is_err());
}
