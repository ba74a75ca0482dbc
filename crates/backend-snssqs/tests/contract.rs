//! The SNS+SQS backend keeps the contract, over the emulator: with a given queue in both kinds of delivery, and with a created one.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_sdk_sqs::types::Message;
use backend_snssqs::{SnsSqsBackend, SnsSqsConfig, SnsSqsParts};
use prometheus_client::registry::Registry;
use proxy_core::{
    ProxyContext,
    backend::{Backend, Inbox},
    id::InstanceId,
};
use testkit::{
    contract::{Carried, Connection, ContractTarget, FarSide, Returned},
    emulator::Emulator,
};

const REQUESTS: &str = "requests";
const RESPONSES: &str = "responses";

/// What answers are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SnsSqs {
    /// A queue that the operator subscribed, raw or not.
    Given { raw: bool },
    /// A queue that the backend creates and subscribes.
    Created,
}

#[async_trait]
impl ContractTarget for SnsSqs {
    async fn connect(&self, inbox: Arc<dyn Inbox>, instance: InstanceId) -> Connection {
        let emulator = Emulator::start().await.unwrap();
        let request_topic = emulator.create_topic(REQUESTS, &[]).unwrap();
        let response_topic = emulator.create_topic(RESPONSES, &[]).unwrap();
        let requests = subscribed(&emulator, &request_topic, REQUESTS, true);
        let mut config = SnsSqsConfig::new(request_topic, response_topic.clone());
        match *self {
            Self::Given { raw } => {
                config.sqs_queue_url = Some(subscribed(&emulator, &response_topic, RESPONSES, raw));
            }
            // so that strangers' messages come too, as they do until a filter takes effect
            Self::Created => emulator.hold_filters(),
        }
        let parts = SnsSqsParts {
            inbox,
            instance,
            request_timeout_max: Duration::from_hours(1),
            registry: &mut Registry::default(),
            sns: Some(emulator.sns_client()),
            sqs: Some(emulator.client()),
            large_payloads: None,
        };
        let backend = Arc::new(SnsSqsBackend::connect(config, parts).await.unwrap());
        let replies = backend.reply_queue_url().rsplit('/').next().unwrap().to_owned();
        let far_side = Topics { emulator, requests, response_topic, replies };
        Connection { backend: backend as Arc<dyn Backend>, far_side: Box::new(far_side) }
    }

    fn return_path_is_shared(&self) -> bool {
        *self != Self::Created
    }
}

/// A queue of this name that gets all of a topic's messages.
fn subscribed(emulator: &Emulator, topic: &str, name: &str, raw: bool) -> String {
    let url = emulator.create_queue(name, &[]).unwrap();
    emulator.let_send(&[topic], &url).unwrap();
    emulator.subscribe(topic, &url, raw, None).unwrap();
    url
}

/// The topics from the far end.
struct Topics {
    emulator: Emulator,
    requests: String,
    response_topic: String,
    replies: String,
}

#[async_trait]
impl FarSide for Topics {
    async fn receive(&mut self) -> Carried {
        let client = self.emulator.client();
        loop {
            let receive = client.receive_message().queue_url(&self.requests).wait_time_seconds(20);
            let received = receive.message_attribute_names("All").send().await.unwrap();
            let Some(message) = received.messages.unwrap_or_default().pop() else { continue };
            let receipt = message.receipt_handle().unwrap();
            client.delete_message().queue_url(&self.requests).receipt_handle(receipt).send().await.unwrap();
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
        let mut publish = self.emulator.sns_client().publish().topic_arn(&self.response_topic).message(body);
        for (name, value) in [("SessionId", route), ("ProxyContext", context)] {
            if let Some(value) = value {
                let value = MessageAttributeValue::builder().data_type("String").string_value(value);
                publish = publish.message_attributes(name, value.build().unwrap());
            }
        }
        publish.send().await.unwrap();
    }

    async fn unacknowledged(&mut self) -> usize {
        // a created queue goes with its backend
        let depth = self.emulator.depth(&self.replies).unwrap_or_default();
        depth.visible + depth.in_flight + depth.delayed
    }
}

fn attribute(message: &Message, name: &str) -> Option<String> {
    message.message_attributes()?.get(name)?.string_value().map(str::to_owned)
}

mod given_raw {
    testkit::contract_tests!(super::SnsSqs::Given { raw: true });
}

mod given_in_envelopes {
    testkit::contract_tests!(super::SnsSqs::Given { raw: false });
}

mod created {
    testkit::contract_tests!(super::SnsSqs::Created);
}
