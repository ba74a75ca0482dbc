//! The webhook intake keeps the contract.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backend_webhook::{WebhookIntake, WebhookIntakeConfig, WebhookIntakeParts};
use prometheus_client::registry::Registry;
use proxy_core::{ReplyAddress, id::InstanceId};
use reqwest::{Client, RequestBuilder};
use testkit::{
    intake_contract::{ClientSide, Envelope, IntakeConnection, IntakeTarget, Place, Received, Told},
    intake_contract_tests,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use crate::{
    contract::{Sender, Webhooks, body, header},
    desk::client,
};

struct Webhook;

struct Clients {
    client: Client,
    url: String,
    webhooks: Webhooks,
    serving: JoinSet<()>,
    sender: Sender,
}

#[async_trait]
impl IntakeTarget for Webhook {
    async fn connect(&self, instance: InstanceId) -> IntakeConnection {
        let parts = WebhookIntakeParts {
            instance,
            request_timeout_max: Duration::from_mins(1),
            registry: &mut Registry::default(),
            listener: Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
            client: None,
        };
        let intake = WebhookIntake::connect(WebhookIntakeConfig::default(), parts).await.unwrap();
        let (webhooks, _, serving) = Webhooks::start("x-session-id").await;
        let clients = Clients {
            client: client(),
            url: format!("http://{}/mcp/request", intake.address()),
            webhooks,
            serving,
            sender: Sender::start(read),
        };
        IntakeConnection { intake: Arc::new(intake), client_side: Box::new(clients) }
    }

    fn keeps_messages(&self) -> bool {
        false
    }

    fn largest_message(&self) -> usize {
        usize::MAX
    }
}

async fn read(request: RequestBuilder, told: oneshot::Sender<Told>) {
    let response = request.send().await.unwrap();
    let session = header(response.headers(), "x-session-id");
    let taken = response.status().is_success();
    drop(told.send(if taken { Told::Taken(session) } else { Told::Refused }));
}

#[async_trait]
impl ClientSide for Clients {
    async fn address(&mut self, place: Place) -> ReplyAddress {
        self.webhooks.address(place)
    }

    async fn put(&mut self, envelope: Envelope) {
        let mut request = self.client.post(&self.url).header("content-type", "application/json");
        for (name, value) in [
            ("x-session-id", &envelope.session),
            ("x-client-id", &envelope.client_id),
            ("x-protocol-version", &envelope.version),
            ("x-proxy-context", &envelope.context),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        self.sender.send(request.body(body(&envelope)), true).await;
    }

    async fn receive(&mut self) -> Received {
        self.webhooks.receive().await
    }

    async fn receipt(&mut self) -> Option<Told> {
        Some(self.sender.told().await)
    }

    async fn end(&mut self, session: &str) -> bool {
        let request = self.client.delete(&self.url).header("x-session-id", session);
        self.sender.send(request, true).await;
        true
    }

    async fn unacknowledged(&mut self) -> usize {
        0
    }

    async fn go_down(&mut self) -> bool {
        self.serving.shutdown().await;
        true
    }
}

intake_contract_tests!(Webhook);
