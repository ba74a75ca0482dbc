//! The StreamableHTTP+webhook intake keeps the contract.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backend_webhook::{StreamableHttpIntake, StreamableHttpIntakeConfig, StreamableHttpIntakeParts};
use prometheus_client::registry::Registry;
use proxy_core::{ReplyAddress, id::InstanceId};
use reqwest::{Client, RequestBuilder};
use testkit::{
    intake_contract::{ClientSide, Envelope, IntakeConnection, IntakeTarget, Place, Received, Told},
    intake_contract_tests,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::Events;
use crate::{
    contract::{Sender, Webhooks, body, header},
    desk::client,
};

struct StreamableHttp;

struct Clients {
    client: Client,
    url: String,
    webhooks: Webhooks,
    _serving: JoinSet<()>,
    sender: Sender,
}

#[async_trait]
impl IntakeTarget for StreamableHttp {
    async fn connect(&self, instance: InstanceId) -> IntakeConnection {
        let parts = StreamableHttpIntakeParts {
            instance,
            request_timeout_max: Duration::from_mins(1),
            registry: &mut Registry::default(),
            listener: Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
            client: None,
        };
        let config = StreamableHttpIntakeConfig::default();
        let intake = StreamableHttpIntake::connect(config, parts).await.unwrap();
        let (webhooks, received, serving) = Webhooks::start("mcp-session-id").await;
        let clients = Clients {
            client: client(),
            url: format!("http://{}/mcp", intake.address()),
            webhooks,
            _serving: serving,
            sender: Sender::start(move |request, told| read(request, told, received.clone())),
        };
        IntakeConnection { intake: Arc::new(intake), client_side: Box::new(clients) }
    }

    fn keeps_messages(&self) -> bool {
        false
    }

    fn takes_proposals(&self) -> bool {
        false
    }

    fn answers_by_response(&self) -> bool {
        true
    }

    fn largest_message(&self) -> usize {
        usize::MAX
    }
}

async fn read(request: RequestBuilder, told: oneshot::Sender<Told>, received: mpsc::Sender<Received>) {
    let response = request.send().await.unwrap();
    let headers = response.headers();
    let (session, context) = (header(headers, "mcp-session-id"), header(headers, "x-proxy-context"));
    let taken = response.status().is_success();
    drop(told.send(if taken { Told::Taken(session.clone()) } else { Told::Refused }));
    if response.status() != 200 || response.content_length() == Some(0) {
        return;
    }
    let mut events = Events::of(response);
    while let Some(body) = events.next().await {
        let (session, context) = (session.clone(), context.clone());
        received.send(Received { place: None, session, context, body }).await.unwrap();
    }
}

#[async_trait]
impl ClientSide for Clients {
    async fn address(&mut self, place: Place) -> ReplyAddress {
        self.webhooks.address(place)
    }

    async fn put(&mut self, envelope: Envelope) {
        let request = self.client.post(&self.url).header("content-type", "application/json");
        let mut request = request.header("accept", "application/json, text/event-stream");
        for (name, value) in [
            ("mcp-session-id", &envelope.session),
            ("x-client-id", &envelope.client_id),
            ("mcp-protocol-version", &envelope.version),
            ("x-proxy-context", &envelope.context),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        // the head of that one comes with its answer
        let waits = !envelope.body.contains("\"initialize\"");
        self.sender.send(request.body(body(&envelope)), waits).await;
    }

    async fn receive(&mut self) -> Received {
        self.webhooks.receive().await
    }

    async fn receipt(&mut self) -> Option<Told> {
        Some(self.sender.told().await)
    }

    async fn end(&mut self, session: &str) -> bool {
        let request = self.client.delete(&self.url).header("mcp-session-id", session);
        self.sender.send(request, true).await;
        true
    }

    async fn unacknowledged(&mut self) -> usize {
        0
    }
}

intake_contract_tests!(StreamableHttp);
