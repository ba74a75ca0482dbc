//! The memory backend keeps the contract, so that it is no easier than the real ones.
#![expect(clippy::expect_used, reason = "tests")]

use std::sync::Arc;

use async_trait::async_trait;
use proxy_core::{backend::Inbox, id::InstanceId};
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
        Connection { backend, far_side: Box::new(MemorySide(far_end)) }
    }
}

struct MemorySide(FarEnd);

#[async_trait]
impl FarSide for MemorySide {
    async fn receive(&mut self) -> Carried {
        let outbound = self.0.receive().await.expect("a backend that sent");
        Carried {
            route: Some(outbound.remote.route.as_str().to_owned()),
            version: outbound.context.version.map(|version| version.to_string()),
            body: outbound.message.into_text(),
        }
    }

    async fn put(&mut self, returned: Returned) {
        self.0.put(returned).await;
    }

    async fn unacknowledged(&mut self) -> usize {
        self.0.unacknowledged()
    }
}

contract_tests!(Memory);
