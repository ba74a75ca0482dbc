//! Chaos on the way out.

use std::sync::Arc;

use async_trait::async_trait;
use proxy_core::{
    backend::{Backend, Limits, Outbound, Remote, Sent},
    error::{BackendError, Delivery, ErrorKind},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Chaos, Fate};

/// A [`Backend`] whose sends go wrong.
#[derive(Debug)]
pub struct ChaosBackend {
    inner: Arc<dyn Backend>,
    chaos: Chaos,
}

impl ChaosBackend {
    pub(super) fn new(inner: Arc<dyn Backend>, chaos: Chaos) -> Self {
        Self { inner, chaos }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Backend for ChaosBackend {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.inner.check().await
    }

    async fn send(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        let (fate, delay) = self.chaos.sent();
        if !delay.is_zero() {
            sleep(delay).await;
        }
        match fate {
            Fate::Passes => self.inner.send(outbound).await,
            Fate::IsLost => Ok(Sent::default()),
            Fate::ComesTwice(later) => {
                let (inner, copy) = (Arc::clone(&self.inner), outbound.clone());
                let sent = self.inner.send(outbound).await?;
                self.chaos.copies.spawn(async move {
                    sleep(later).await;
                    if let Err(error) = inner.send(copy).await {
                        tracing::debug!(%error, "a duplicate was not sent");
                    }
                });
                Ok(sent)
            }
            Fate::NotSent => Err(failure(Delivery::NotSent)),
            Fate::MaybeSent { arrives } => {
                if arrives {
                    self.inner.send(outbound).await?;
                }
                Err(failure(Delivery::MaybeSent))
            }
        }
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        self.inner.run(shutdown).await
    }

    async fn close(&self, remote: &Remote) -> Result<(), BackendError> {
        self.inner.close(remote).await
    }
}

fn failure(delivery: Delivery) -> BackendError {
    BackendError::new(ErrorKind::Unavailable, "send", "the transport failed by chance")
        .with_delivery(delivery)
}
