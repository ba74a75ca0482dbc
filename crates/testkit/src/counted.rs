//! A count of what is under way, which tests can wait for.

use tokio::sync::watch;

/// Counts one while it lives.
#[derive(Debug)]
pub(crate) struct Counted<'count>(&'count watch::Sender<usize>);

impl<'count> Counted<'count> {
    pub(crate) fn new(count: &'count watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Waits for a value that satisfies the condition. The sender is borrowed, so the channel cannot close meanwhile.
pub(crate) async fn wait_for<T>(values: &watch::Sender<T>, condition: impl FnMut(&T) -> bool) {
    if values.subscribe().wait_for(condition).await.is_err() {
        tracing::error!("a channel closed while its sender was alive");
    }
}
