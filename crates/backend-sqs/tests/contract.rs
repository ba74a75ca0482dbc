//! The SQS backend keeps the contract, over the emulator.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_sqs::{
    Client,
    types::{Message, MessageAttributeValue},
};
use backend_sqs::{SqsBackend, SqsConfig, SqsParts};
use prometheus_client::registry::Registry;
use proxy_core::{
    ProxyContext,
    backend::{Backend, Inbox},
    id::InstanceId,
};
use testkit::{
    contract::{Carried, Connection, ContractTarget, FarSide, Returned},
    contract_tests,
    emulator::Emulator,
};

const REQUESTS: &str = "requests";
const REPLIES: &str = "replies";

struct Sqs;

#[async_trait]
impl ContractTarget for Sqs {
    async fn connect(&self, inbox: Arc<dyn Inbox>, instance: InstanceId) -> Connection {
        let emulator = Emulator::start().await.unwrap();
        let requests = emulator.create_queue(REQUESTS, &[]).unwrap();
        let replies = emulator.create_queue(REPLIES, &[]).unwrap();
        let client = emulator.client();
        let mut config = SqsConfig::new(requests.clone());
        config.response_queue_url = Some(replies.clone());
        let parts = SqsParts {
            inbox,
            instance,
            request_timeout_max: Duration::from_hours(1),
            registry: &mut Registry::default(),
            client: Some(client.clone()),
            large_payloads: None,
        };
        let backend: Arc<dyn Backend> = Arc::new(SqsBackend::connect(config, parts).await.unwrap());
        Connection { backend, far_side: Box::new(SqsSide { emulator, client, requests, replies }) }
    }
}

/// The queues from the far end.
struct SqsSide {
    emulator: Emulator,
    client: Client,
    requests: String,
    replies: String,
}

#[async_trait]
impl FarSide for SqsSide {
    async fn receive(&mut self) -> Carried {
        loop {
            let receive = self.client.receive_message().queue_url(&self.requests).wait_time_seconds(20);
            let received = receive.message_attribute_names("All").send().await.unwrap();
            let Some(message) = received.messages.unwrap_or_default().pop() else { continue };
            let receipt = message.receipt_handle().unwrap();
            let delete = self.client.delete_message().queue_url(&self.requests).receipt_handle(receipt);
            delete.send().await.unwrap();
            return Carried {
                route: attribute(&message, "SessionId"),
                version: attribute(&message, "ProtocolVersion"),
                body: message.body.unwrap(),
            };
        }
    }

    async fn put(&mut self, returned: Returned) {
        let Returned { route, related, sequence, body } = returned;
        let context = (related.is_some() || sequence.is_some()).then(|| {
            let related = related.map(|wire| wire.to_string().into());
            ProxyContext { v: ProxyContext::VERSION, related, seq: sequence, ..ProxyContext::default() }
                .to_json()
        });
        let mut send = self.client.send_message().queue_url(&self.replies).message_body(body);
        for (name, value) in [("SessionId", route), ("ProxyContext", context)] {
            if let Some(value) = value {
                let value = MessageAttributeValue::builder().data_type("String").string_value(value);
                send = send.message_attributes(name, value.build().unwrap());
            }
        }
        send.send().await.unwrap();
    }

    async fn unacknowledged(&mut self) -> usize {
        let depth = self.emulator.depth(REPLIES).unwrap();
        depth.visible + depth.in_flight + depth.delayed
    }
}

fn attribute(message: &Message, name: &str) -> Option<String> {
    message.message_attributes()?.get(name)?.string_value().map(str::to_owned)
}

contract_tests!(Sqs);
