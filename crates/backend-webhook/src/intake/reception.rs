//! Between the door and the desk: what came in is handed over and followed, and what is refused is counted.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Response, StatusCode, request::Parts},
};
use proxy_core::intake::{Desk, Receipt, Taken};

use super::{Door, IntakeMetrics, Refusal, Settling, Why};
use crate::http_server;

/// What the endpoints of both intakes have.
#[derive(Debug)]
pub(crate) struct Reception {
    pub(crate) desk: Arc<dyn Desk>,
    pub(crate) door: Arc<Door>,
    pub(crate) settling: Arc<Settling>,
    pub(crate) metrics: IntakeMetrics,
}

impl Reception {
    /// Hands something over, and follows it until it is settled.
    ///
    /// # Errors
    /// As much is under way as may be: it was not handed over.
    pub(crate) fn hand_over(&self, take: impl FnOnce(&dyn Desk) -> Taken) -> Result<Receipt, Refusal> {
        let room = self.settling.room()?;
        let Taken { receipt, settled } = take(&*self.desk);
        self.settling.follow(room, settled);
        Ok(receipt)
    }

    /// Counts what was refused.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        tracing::debug!(reason = refusal.reason(), "a request was refused");
        if refusal.why == Why::Malformed {
            self.metrics.transport.malformed();
        }
        self.metrics.refused(refusal.reason());
    }

    /// Answers what comes to a path where there is nothing.
    pub(crate) async fn elsewhere(&self, parts: &Parts, mut body: Body) -> Response<Body> {
        let nothing = || Refusal::new(Why::Path, StatusCode::NOT_FOUND, "there is nothing here");
        let refusal = self.door.check(parts).err().unwrap_or_else(nothing);
        http_server::discard(&mut body).await;
        self.refused(&refusal);
        refusal.response(None)
    }
}
