//! The SQS intake keeps the contract, over the emulator: one of a fleet, at a standard and at a FIFO queue, and the only worker.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_sqs::types::{Message as SqsMessage, MessageAttributeValue};
use backend_sqs::{SqsIntake, SqsIntakeConfig, SqsIntakeParts};
use futures_util::future::select_all;
use prometheus_client::registry::Registry;
use proxy_core::{ProxyContext, ReplyAddress, id::InstanceId, intake::Intake, message::Message};
use serde_json::Value;
use testkit::{
    emulator::Emulator,
    intake_contract::{
        AnotherWorker, ClientSide, DeadLetter, Envelope, IntakeConnection, IntakeTarget, Place, Received,
        Told,
    },
    intake_contract_tests,
};

const PREFIX: &str = "mcp-worker";
const VISIBILITY: Duration = Duration::from_secs(2);

/// Which queue, and who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sqs {
    InFleet,
    Fifo,
    Sole,
}

impl Sqs {
    fn requests(self) -> &'static str {
        if self == Self::Fifo { "requests.fifo" } else { "requests" }
    }

    fn dead_letters(self) -> &'static str {
        if self == Self::Fifo { "letters.fifo" } else { "letters" }
    }
}

#[async_trait]
impl IntakeTarget for Sqs {
    async fn connect(&self, instance: InstanceId) -> IntakeConnection {
        let emulator = Emulator::start().await.unwrap();
        let kind = if *self == Self::Fifo { vec![("FifoQueue", "true")] } else { Vec::new() };
        emulator.create_queue(self.dead_letters(), &kind).unwrap();
        let redrive = format!(
            r#"{{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:{}","maxReceiveCount":"100"}}"#,
            self.dead_letters()
        );
        let with_redrive = [kind, vec![("RedrivePolicy", redrive.as_str())]].concat();
        emulator.create_queue(self.requests(), &with_redrive).unwrap();
        for name in ["first", "second"] {
            emulator.create_queue(name, &[]).unwrap();
        }
        let side = Queues { target: *self, emulator: Some(emulator), sent: 0 };
        IntakeConnection { intake: side.intake(instance).await, client_side: Box::new(side) }
    }

    fn visibility(&self) -> Duration {
        VISIBILITY
    }
}

/// The queues from the clients' side.
struct Queues {
    target: Sqs,
    emulator: Option<Emulator>,
    sent: u64,
}

impl Queues {
    fn emulator(&self) -> &Emulator {
        self.emulator.as_ref().unwrap()
    }

    async fn intake(&self, instance: InstanceId) -> Arc<dyn Intake> {
        let emulator = self.emulator();
        let mut config = SqsIntakeConfig::new(emulator.queue_url(self.target.requests()));
        config.visibility_timeout = VISIBILITY;
        let parts = SqsIntakeParts {
            instance,
            sole: self.target == Sqs::Sole,
            request_timeout_max: Duration::from_hours(1),
            registry: &mut Registry::default(),
            client: Some(emulator.client()),
            large_payloads: None,
        };
        Arc::new(SqsIntake::connect(config, parts).await.unwrap())
    }

    /// Takes what is in a queue.
    async fn take(&self, name: &str, most: i32, wait: i32) -> Vec<SqsMessage> {
        let (client, url) = (self.emulator().client(), self.emulator().queue_url(name));
        let receive = client.receive_message().queue_url(&url).message_attribute_names("All");
        let received = receive.max_number_of_messages(most).wait_time_seconds(wait).send().await.unwrap();
        let messages = received.messages.unwrap_or_default();
        for message in &messages {
            let receipt = message.receipt_handle().unwrap();
            client.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
        }
        messages
    }

    async fn received(&self, name: &str) -> Received {
        loop {
            let Some(message) = self.take(name, 1, 20).await.pop() else { continue };
            return Received {
                place: Some(ReplyAddress::Sqs(self.emulator().queue_url(name).into())),
                session: attribute(&message, "SessionId"),
                context: attribute(&message, "ProxyContext"),
                body: message.body.unwrap(),
            };
        }
    }
}

#[async_trait]
impl ClientSide for Queues {
    async fn address(&mut self, place: Place) -> ReplyAddress {
        let name = match place {
            Place::First => "first",
            Place::Second => "second",
            Place::Vanished => "vanished",
        };
        ReplyAddress::Sqs(self.emulator().queue_url(name).into())
    }

    async fn put(&mut self, envelope: Envelope) {
        let Envelope { owner, session, client_id, version, reply, context, body } = envelope;
        let body = match (reply, Message::parse(&body)) {
            (Some(ReplyAddress::Sqs(url)), Ok(Message::Request(request))) => {
                let url = Value::from(&*url).to_string();
                let request = request.with_param("response_queue_url", &url).unwrap();
                Message::from(request.with_meta("responseQueueUrl", &url).unwrap()).into_text()
            }
            _ => body,
        };
        let url = owner.unwrap_or_else(|| self.emulator().queue_url(self.target.requests()));
        let mut send = self.emulator().client().send_message().message_body(&body);
        if url.strip_suffix(".fifo").is_some() {
            // a proxy gives each exchange a group of its own, and an end; here what else is sent is to arrive in order
            self.sent += 1;
            let group = session.clone().filter(|session| session.is_ascii() && session.len() == 45);
            let group =
                group.map(|group| if body == ProxyContext::END { format!("{group}.end") } else { group });
            send = send
                .message_group_id(group.unwrap_or_else(|| "others".to_owned()))
                .message_deduplication_id(self.sent.to_string());
        }
        let attributes = [
            ("SessionId", session),
            ("ClientId", client_id),
            ("ProtocolVersion", version),
            ("ProxyContext", context),
        ];
        for (name, value) in attributes {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let value = MessageAttributeValue::builder().data_type("String").string_value(value);
                send = send.message_attributes(name, value.build().unwrap());
            }
        }
        send.queue_url(url).send().await.unwrap();
    }

    async fn receive(&mut self) -> Received {
        let waiting = ["first", "second"].map(|name| Box::pin(self.received(name)));
        select_all(waiting).await.0
    }

    async fn receipt(&mut self) -> Option<Told> {
        None
    }

    async fn end(&mut self, session: &str) -> bool {
        let context = ProxyContext { v: ProxyContext::VERSION, end: true, ..ProxyContext::default() };
        self.put(Envelope {
            session: Some(session.to_owned()),
            context: Some(context.to_json()),
            body: ProxyContext::END.to_owned(),
            ..Envelope::default()
        })
        .await;
        true
    }

    async fn unacknowledged(&mut self) -> usize {
        // the own queues of workers go with them
        let depth = self.emulator().depth(self.target.requests()).unwrap();
        depth.visible + depth.in_flight + depth.delayed
    }

    async fn redeliver(&mut self) -> bool {
        self.emulator().redeliver(self.target.requests());
        true
    }

    async fn dead_letters(&mut self) -> Option<Vec<DeadLetter>> {
        let taken = self.take(self.target.dead_letters(), 10, 1).await;
        let letter = |message: SqsMessage| DeadLetter {
            reason: attribute(&message, "ProxyContext")
                .and_then(|context| ProxyContext::parse(&context)?.reason)
                .map(Into::into),
            body: message.body.unwrap(),
        };
        Some(taken.into_iter().map(letter).collect())
    }

    async fn another_worker(&mut self) -> Option<AnotherWorker> {
        if self.target == Sqs::Sole {
            return None;
        }
        let instance = InstanceId::random();
        Some(AnotherWorker { intake: self.intake(instance.clone()).await, instance })
    }

    async fn gone_owner(&mut self) -> Option<String> {
        let name = format!("{PREFIX}-{}", InstanceId::random().as_str());
        Some(self.emulator().queue_url(&name))
    }

    async fn go_down(&mut self) -> bool {
        self.emulator.take().unwrap().stop().await.unwrap();
        true
    }
}

fn attribute(message: &SqsMessage, name: &str) -> Option<String> {
    let attributes: &HashMap<_, _> = message.message_attributes()?;
    attributes.get(name)?.string_value().map(str::to_owned)
}

mod in_fleet {
    use super::*;

    intake_contract_tests!(Sqs::InFleet);
}

mod fifo {
    use super::*;

    intake_contract_tests!(Sqs::Fifo);
}

mod sole {
    use super::*;

    intake_contract_tests!(Sqs::Sole);
}
