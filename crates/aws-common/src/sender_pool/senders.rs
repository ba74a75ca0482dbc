//! Senders by address, as many as may be kept.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::sender::BatchingSender;

/// The most addresses that a sender is kept for.
const KEPT: usize = 4096;

/// How long a sender is kept after its last message.
const IDLE: Duration = Duration::from_mins(10);

/// Senders by the URL or ARN that they send to.
#[derive(Debug, Default)]
pub struct Senders(Mutex<HashMap<Box<str>, Kept>>);

#[derive(Debug)]
struct Kept {
    sender: BatchingSender,
    used: Instant,
}

impl Senders {
    /// The sender to this address, where there is one; counts as used.
    pub fn get(&self, address: &str) -> Option<BatchingSender> {
        let mut senders = self.lock();
        let kept = senders.get_mut(address)?;
        kept.used = Instant::now();
        Some(kept.sender.clone())
    }

    /// The sender to this address, made where there is none.
    pub fn get_or_make(&self, address: &str, make: impl FnOnce() -> BatchingSender) -> BatchingSender {
        let now = Instant::now();
        let mut senders = self.lock();
        if let Some(kept) = senders.get_mut(address) {
            kept.used = now;
            return kept.sender.clone();
        }
        if senders.len() >= KEPT {
            make_room(&mut senders, now);
        }
        let sender = make();
        senders.insert(address.into(), Kept { sender: sender.clone(), used: now });
        sender
    }

    /// Forgets the sender to this address. What it still carries arrives all the same.
    pub fn forget(&self, address: &str) {
        self.lock().remove(address);
    }

    /// Resolves once nothing is on its way. Nothing may be sent any more.
    pub async fn close(&self) {
        let senders: Vec<_> = self.lock().drain().map(|(_, kept)| kept.sender).collect();
        for sender in senders {
            sender.close().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets those that were idle for long, else the one that was idle longest. What they still carry arrives all the same.
fn make_room(senders: &mut HashMap<Box<str>, Kept>, now: Instant) {
    senders.retain(|_, kept| now.duration_since(kept.used) < IDLE);
    if senders.len() < KEPT {
        return;
    }
    let oldest = senders.iter().min_by_key(|(_, kept)| kept.used).map(|(url, _)| url.clone());
    if let Some(oldest) = oldest {
        senders.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use prometheus_client::registry::Registry;
    use proxy_core::{BackendMetrics, error::BackendError};

    use super::*;
    use crate::{
        attributes::OutgoingMessage,
        error::Call,
        sender::{Destination, Outcomes},
    };

    #[derive(Debug)]
    struct Nowhere;

    #[async_trait]
    impl Destination for Nowhere {
        fn action(&self) -> &'static str {
            "SendMessageBatch"
        }

        fn permission(&self) -> &'static str {
            "sqs:SendMessage"
        }

        async fn transmit(&self, _: &[&OutgoingMessage], _: Call<'_>) -> Result<Outcomes, BackendError> {
            Ok(Outcomes::default())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_are_kept_and_idle_ones_go_first() {
        let senders = Senders::default();
        let metrics = BackendMetrics::for_intake("sqs", &mut Registry::default());
        let made = |url: &str| {
            senders.get_or_make(url, || BatchingSender::new(Nowhere, "nowhere", 1, metrics.clone()));
        };
        for number in 0..KEPT {
            made(&format!("https://q/1/{number}"));
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(senders.get("https://q/1/0").is_some());
        made("https://q/1/new");
        assert_eq!(senders.lock().len(), KEPT);
        assert!(senders.lock().contains_key("https://q/1/0"));
        tokio::time::advance(IDLE).await;
        made("https://q/1/newer");
        assert_eq!(senders.lock().len(), 1);
    }
}
