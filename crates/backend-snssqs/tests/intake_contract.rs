//! The SNS+SQS intake keeps the contract, over the emulator: with requests in both kinds of delivery, and from a FIFO topic.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_sqs::types::Message as SqsMessage;
use backend_snssqs::{SnsSqsIntake, SnsSqsIntakeConfig, SnsSqsIntakeParts};
use prometheus_client::registry::Registry;
use proxy_core::{
    ProxyContext, ReplyAddress,
    id::{InstanceId, RouteKey},
    intake::Intake,
    message::Message,
};
use serde_json::Value;
use testkit::{
    emulator::Emulator,
    intake_contract::{
        AnotherWorker, ClientSide, DeadLetter, Envelope, IntakeConnection, IntakeTarget, Place, Received,
        Told,
    },
    intake_contract_tests,
};

const CLIENTS: &str = "clients";
const PREFIX: &str = "mcp-worker";
const VISIBILITY: Duration = Duration::from_secs(2);

/// How requests come.
#[derive(Debug, Clone, Copy)]
enum SnsSqs {
    Raw,
    InEnvelopes,
    Fifo,
}

impl SnsSqs {
    fn name(self) -> &'static str {
        match self {
            Self::Raw | Self::InEnvelopes => "requests",
            Self::Fifo => "requests.fifo",
        }
    }

    fn dead_letters(self) -> &'static str {
        match self {
            Self::Raw | Self::InEnvelopes => "dead-letters",
            Self::Fifo => "dead-letters.fifo",
        }
    }
}

#[async_trait]
impl IntakeTarget for SnsSqs {
    async fn connect(&self, instance: InstanceId) -> IntakeConnection {
        let emulator = Emulator::start().await.unwrap();
        let fifo = matches!(self, Self::Fifo);
        let kind = |name| if fifo { vec![(name, "true")] } else { Vec::new() };
        let topic = emulator.create_topic(self.name(), &kind("FifoTopic")).unwrap();
        let queue = emulator.create_queue(self.name(), &kind("FifoQueue")).unwrap();
        emulator.create_queue(self.dead_letters(), &kind("FifoQueue")).unwrap();
        emulator.let_send(&[&topic], &queue).unwrap();
        emulator.subscribe(&topic, &queue, !matches!(self, Self::InEnvelopes), None).unwrap();
        let answers = ["first", "second"].map(|name| emulator.create_topic(name, &[]).unwrap());
        let clients = emulator.create_queue(CLIENTS, &[]).unwrap();
        emulator.let_send(&[&answers[0], &answers[1]], &clients).unwrap();
        for answers in &answers {
            // in envelopes, which name the topic
            emulator.subscribe(answers, &clients, false, None).unwrap();
        }
        let mut side = Topics { target: *self, emulator: Some(emulator), topic, answers, sent: 0 };
        let intake = side.intake(instance).await;
        IntakeConnection { intake, client_side: Box::new(side) }
    }

    fn visibility(&self) -> Duration {
        VISIBILITY
    }
}

/// The topics from the clients' side.
struct Topics {
    target: SnsSqs,
    emulator: Option<Emulator>,
    topic: String,
    answers: [String; 2],
    sent: u64,
}

impl Topics {
    fn emulator(&self) -> &Emulator {
        self.emulator.as_ref().unwrap()
    }

    async fn intake(&mut self, instance: InstanceId) -> Arc<dyn Intake> {
        let emulator = self.emulator();
        let mut config = SnsSqsIntakeConfig::new(emulator.queue_url(self.target.name()));
        config.dead_letter_queue_url = Some(emulator.queue_url(self.target.dead_letters()));
        config.visibility_timeout = VISIBILITY;
        let parts = SnsSqsIntakeParts {
            instance,
            request_timeout_max: Duration::from_hours(1),
            sole: false,
            registry: &mut Registry::default(),
            sns: Some(emulator.sns_client()),
            sqs: Some(emulator.client()),
            large_payloads: None,
        };
        Arc::new(SnsSqsIntake::connect(config, parts).await.unwrap())
    }

    fn depth(&self, name: &str) -> usize {
        let depth = self.emulator().depth(name).unwrap_or_default();
        depth.visible + depth.in_flight + depth.delayed
    }

    /// Takes what is in a queue.
    async fn take(&self, name: &str, most: i32) -> Vec<SqsMessage> {
        let (client, url) = (self.emulator().client(), self.emulator().queue_url(name));
        let receive = client.receive_message().queue_url(&url).message_attribute_names("All");
        let received = receive.max_number_of_messages(most).wait_time_seconds(1).send().await.unwrap();
        let messages = received.messages.unwrap_or_default();
        for message in &messages {
            let receipt = message.receipt_handle().unwrap();
            client.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
        }
        messages
    }
}

#[async_trait]
impl ClientSide for Topics {
    async fn address(&mut self, place: Place) -> ReplyAddress {
        ReplyAddress::Sns(match place {
            Place::First => self.answers[0].as_str().into(),
            Place::Second => self.answers[1].as_str().into(),
            Place::Vanished => self.answers[0].replace("first", "vanished").into(),
        })
    }

    async fn put(&mut self, envelope: Envelope) {
        let ends = envelope.body == ProxyContext::END;
        let Envelope { owner, session, client_id, version, reply, context, body } = envelope;
        let body = match (reply, Message::parse(&body)) {
            (Some(ReplyAddress::Sns(arn)), Ok(Message::Request(request))) => {
                let arn = Value::from(&*arn).to_string();
                Message::from(request.with_param("client_topic_arn", &arn).unwrap()).into_text()
            }
            _ => body,
        };
        let attributes = [
            ("SessionId", session.clone()),
            ("ClientId", client_id),
            ("ProtocolVersion", version),
            ("ProxyContext", context),
        ];
        let attributes = attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .filter(|(_, v)| !v.is_empty());
        self.sent += 1;
        let Some(owner) = owner else {
            let mut publish = self.emulator().sns_client().publish().topic_arn(&self.topic).message(body);
            if matches!(self.target, SnsSqs::Fifo) {
                // a proxy gives each exchange a group of its own; here what is sent is to arrive in order
                let group = session.filter(|session| RouteKey::parse(session).is_ok());
                // as our own proxy does, so that no call holds up an end
                let group = group.map(|group| if ends { format!("{group}.end") } else { group });
                publish = publish
                    .message_group_id(group.unwrap_or_else(|| "others".to_owned()))
                    .message_deduplication_id(self.sent.to_string());
            }
            for (name, value) in attributes {
                let builder = aws_sdk_sns::types::MessageAttributeValue::builder().data_type("String");
                publish = publish.message_attributes(name, builder.string_value(value).build().unwrap());
            }
            publish.send().await.unwrap();
            return;
        };
        let mut send = self.emulator().client().send_message().queue_url(owner).message_body(body);
        for (name, value) in attributes {
            let builder = aws_sdk_sqs::types::MessageAttributeValue::builder().data_type("String");
            send = send.message_attributes(name, builder.string_value(value).build().unwrap());
        }
        send.send().await.unwrap();
    }

    async fn receive(&mut self) -> Received {
        loop {
            let Some(message) = self.take(CLIENTS, 1).await.pop() else { continue };
            let envelope: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            let attribute =
                |name: &str| envelope["MessageAttributes"][name]["Value"].as_str().map(str::to_owned);
            return Received {
                place: envelope["TopicArn"].as_str().map(|arn| ReplyAddress::Sns(arn.into())),
                session: attribute("SessionId"),
                context: attribute("ProxyContext"),
                body: envelope["Message"].as_str().unwrap().to_owned(),
            };
        }
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
        self.depth(self.target.name())
    }

    async fn redeliver(&mut self) -> bool {
        self.emulator().redeliver(self.target.name());
        true
    }

    async fn dead_letters(&mut self) -> Option<Vec<DeadLetter>> {
        let taken = self.take(self.target.dead_letters(), 10).await;
        let letter = |message: SqsMessage| {
            let attributes: HashMap<_, _> = message.message_attributes.unwrap_or_default();
            let context =
                attributes.get("ProxyContext").and_then(|value| ProxyContext::parse(value.string_value()?));
            let body = message.body.unwrap();
            let enveloped = serde_json::from_str::<Value>(&body).ok();
            let enveloped = enveloped.and_then(|value| value["Message"].as_str().map(str::to_owned));
            DeadLetter {
                body: enveloped.unwrap_or(body),
                reason: context.and_then(|context| context.reason).map(Into::into),
            }
        };
        Some(taken.into_iter().map(letter).collect())
    }

    async fn another_worker(&mut self) -> Option<AnotherWorker> {
        let instance = InstanceId::random();
        let intake = self.intake(instance.clone()).await;
        Some(AnotherWorker { instance, intake })
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

mod raw {
    use super::*;

    intake_contract_tests!(SnsSqs::Raw);
}

mod in_envelopes {
    use super::*;

    intake_contract_tests!(SnsSqs::InEnvelopes);
}

mod fifo {
    use super::*;

    intake_contract_tests!(SnsSqs::Fifo);
}
