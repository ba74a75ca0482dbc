//! The proxy over SQS: created reply queue, settings as they are by default.

use std::sync::Arc;

use anyhow::Result;
use backend_sqs::{SqsBackend, SqsConfig, SqsParts};
use prometheus_client::registry::Registry;
use proxy_core::{config::SessionConfig, id::InstanceId};
use testkit::emulator::client_for;

use super::served;
use crate::measure::PROXY_KEY;

pub(super) async fn run(endpoint: &str, requests: &str) -> Result<()> {
    let mut registry = Registry::default();
    let instance = InstanceId::random();
    let router = served::router(instance.clone(), &mut registry);
    let inbox = Arc::clone(&router);
    let parts = SqsParts {
        inbox,
        instance,
        request_timeout_max: SessionConfig::default().request_timeout_max,
        registry: &mut registry,
        client: Some(client_for(endpoint, PROXY_KEY)),
    };
    let backend = SqsBackend::connect(SqsConfig::new(requests), parts).await?;
    served::run(router, Arc::new(backend)).await
}
