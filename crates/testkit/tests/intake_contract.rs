//! The memory intake keeps the contract, so that it is no easier than the real ones.
#![expect(clippy::expect_used, reason = "tests")]

use async_trait::async_trait;
use futures_util::future::select_all;
use proxy_core::{ReplyAddress, id::InstanceId, intake::Receipt};
use testkit::{
    intake_contract::{
        AnotherWorker, ClientSide, DeadLetter, Envelope, IntakeConnection, IntakeTarget, Place, Received,
        Told,
    },
    intake_contract_tests,
    memory_intake::{MemoryClient, MemoryTransport},
};

/// One of several workers.
struct InFleet;

/// The only worker, whose clients are told at once.
struct WithReceipts;

#[async_trait]
impl IntakeTarget for InFleet {
    async fn connect(&self, instance: InstanceId) -> IntakeConnection {
        let transport = MemoryTransport::default();
        IntakeConnection {
            intake: transport.intake_of(instance),
            client_side: Box::new(MemorySide::new(transport, false)),
        }
    }
}

#[async_trait]
impl IntakeTarget for WithReceipts {
    async fn connect(&self, _instance: InstanceId) -> IntakeConnection {
        let transport = MemoryTransport::default();
        let client_side = Box::new(MemorySide::new(transport.clone(), true));
        IntakeConnection { intake: transport.intake_with_receipts(), client_side }
    }
}

struct MemorySide {
    clients: [MemoryClient; 2],
    vanished: ReplyAddress,
    transport: MemoryTransport,
    has_receipts: bool,
}

impl MemorySide {
    fn new(transport: MemoryTransport, has_receipts: bool) -> Self {
        let clients = [transport.peer(), transport.peer()];
        let vanished = transport.peer().address().clone();
        Self { clients, vanished, transport, has_receipts }
    }
}

#[async_trait]
impl ClientSide for MemorySide {
    async fn address(&mut self, place: Place) -> ReplyAddress {
        match place {
            Place::First => self.clients[0].address().clone(),
            Place::Second => self.clients[1].address().clone(),
            Place::Vanished => self.vanished.clone(),
        }
    }

    async fn put(&mut self, envelope: Envelope) {
        self.transport.put(envelope);
    }

    async fn receive(&mut self) -> Received {
        let waiting = self.clients.iter_mut().map(|client| Box::pin(client.receive()));
        select_all(waiting).await.0.expect("a transport")
    }

    async fn receipt(&mut self) -> Option<Told> {
        if !self.has_receipts {
            return None;
        }
        Some(match self.transport.receipt().await {
            Receipt::Opened(session) => Told::Taken(Some(session.as_str().to_owned())),
            Receipt::Accepted | Receipt::Ended => Told::Taken(None),
            Receipt::Refused(_) => Told::Refused,
        })
    }

    async fn end(&mut self, session: &str) -> bool {
        self.clients[0].end(session);
        true
    }

    async fn unacknowledged(&mut self) -> usize {
        self.transport.unacknowledged()
    }

    async fn dead_letters(&mut self) -> Option<Vec<DeadLetter>> {
        Some(self.transport.dead_letters())
    }

    async fn redeliver(&mut self) -> bool {
        self.transport.redeliver();
        true
    }

    async fn another_worker(&mut self) -> Option<AnotherWorker> {
        let instance = InstanceId::random();
        Some(AnotherWorker { intake: self.transport.intake_of(instance.clone()), instance })
            .filter(|_| !self.has_receipts)
    }

    async fn gone_owner(&mut self) -> Option<String> {
        let AnotherWorker { intake, .. } = self.another_worker().await?;
        let owner = intake.owner()?.to_owned();
        self.transport.remove_worker(&owner);
        Some(owner)
    }

    async fn go_down(&mut self) -> bool {
        self.transport.go_down();
        true
    }
}

mod in_fleet {
    use super::*;

    intake_contract_tests!(InFleet);
}

mod with_receipts {
    use super::*;

    intake_contract_tests!(WithReceipts);
}
