//! The memory backend keeps the contract, so that it is no easier than the real ones.
#![expect(clippy::expect_used, reason = "tests")]

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use proxy_core::{
    backend::Inbox,
    id::{InstanceId, RemoteSession},
};
use testkit::{
    contract::{Carried, Connection, ContractTarget, FarSide, Returned},
    contract_tests,
    memory::{FarEnd, MemoryBackend},
};

struct Memory;

#[async_trait]
impl ContractTarget for Memory {
    async fn connect(&self, inbox: Arc<dyn Inbox>, _instance: InstanceId) -> Connection {
        let (backend, far_end) = MemoryBackend::pair(inbox);
        // Weak, or the rule that lets a backend go would not.
        let side = MemorySide { far_end, backend: Arc::downgrade(&backend) };
        Connection { backend, far_side: Box::new(side) }
    }
}

struct MemorySide {
    far_end: FarEnd,
    backend: Weak<MemoryBackend>,
}

impl MemorySide {
    fn backend(&self) -> Arc<MemoryBackend> {
        self.backend.upgrade().expect("a backend")
    }
}

#[async_trait]
impl FarSide for MemorySide {
    async fn receive(&mut self) -> Carried {
        let outbound = self.far_end.receive().await.expect("a backend that sent");
        Carried {
            route: Some(outbound.remote.route.as_str().to_owned()),
            version: outbound.context.version.map(|version| version.to_string()),
            body: outbound.message.into_text(),
        }
    }

    async fn put(&mut self, returned: Returned) {
        self.far_end.put(returned).await;
    }

    async fn unacknowledged(&mut self) -> usize {
        self.far_end.unacknowledged()
    }

    async fn name_in_receipts(&mut self, session: &str) -> bool {
        self.backend().name_in_receipts(RemoteSession::parse(session).expect("a session id"));
        true
    }

    async fn told_ended(&mut self) -> Option<Vec<String>> {
        Some(self.backend().told_ended())
    }

    async fn go_down(&mut self) -> bool {
        self.far_end.go_down();
        true
    }
}

contract_tests!(Memory);
