//! The tags of created queues, and how often they may be called for.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::{Instant, sleep_until};

/// The tag that names the instance that a queue belongs to.
pub(super) const INSTANCE_TAG: &str = "mcp-proxy-instance";

/// The tag with the Unix seconds until which its owner is taken to live.
pub(super) const ALIVE_UNTIL_TAG: &str = "mcp-proxy-alive-until";

/// From one call about tags to the next: an account has about five a second (AWS, "Amazon SQS quotas"), and we are not alone.
const BETWEEN: Duration = Duration::from_millis(250);

/// Spaces the calls about tags.
#[derive(Debug, Clone, Default)]
pub(super) struct TagPace(Arc<Mutex<Option<Instant>>>);

impl TagPace {
    /// Waits for the next time that such a call may be made.
    pub(super) async fn turn(&self) {
        let now = Instant::now();
        let at = {
            let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + BETWEEN);
            at
        };
        sleep_until(at).await;
    }
}

/// The value of the tag of an owner that lives for so long at least.
pub(super) fn alive_until(alive: Duration) -> String {
    (since_epoch() + alive).as_secs().to_string()
}

pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_than_five_calls_in_any_second() {
        let pace = TagPace::default();
        let started = Instant::now();
        futures_util::future::join_all((0..6).map(|_| pace.turn())).await;
        assert!(started.elapsed() >= Duration::from_secs(1));
    }
}
