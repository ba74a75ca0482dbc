//! Removes subscriptions of ours whose queues are gone: a topic takes 200 with a filter.

use std::{collections::HashSet, time::Duration};

use aws_common::{Queue, jittered};
use proxy_core::{
    error::{BackendError, ErrorKind},
    id::InstanceId,
};
use tokio::time::sleep;

use super::{Feed, Own, arn_of};
use crate::arn::Arn;

/// How often to look, at the least; jittered, so that replicas look at different times.
const REAP: Duration = Duration::from_mins(20);

/// For how long a queue must be gone: its owner makes a lost one again, and AWS takes a deleted name for 60 s not.
const GONE_FOR: Duration = Duration::from_secs(90);

impl Feed {
    /// Looks for ever, or until it turns out that it is not permitted.
    pub(super) async fn reap_orphans(&self) {
        loop {
            match self.reap_orphans_once().await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Denied => {
                    tracing::info!(reason = %error, "subscriptions that dead proxies left behind are not removed");
                    return;
                }
                Err(error) => {
                    tracing::warn!(error = %error, error.type = error.kind().as_str(), "subscriptions that dead proxies left behind could not be looked for");
                }
            }
            sleep(jittered(REAP)).await;
        }
    }

    async fn reap_orphans_once(&self) -> Result<(), BackendError> {
        let first = self.orphans().await?;
        if first.is_empty() {
            return Ok(());
        }
        sleep(GONE_FOR).await;
        for orphan in self.orphans().await?.intersection(&first) {
            self.topic.unsubscribe(orphan).await?;
            tracing::info!(
                messaging.destination.name = self.topic.name(),
                "a dead proxy's subscription was removed"
            );
        }
        Ok(())
    }

    /// The ARNs of the subscriptions of queues that this program made, beside our own, and that are not there now.
    async fn orphans(&self) -> Result<HashSet<Box<str>>, BackendError> {
        let mut orphans = HashSet::new();
        let Some(own) = self.own().clone() else { return Ok(orphans) };
        for subscription in self.topic.subscriptions("reap").await? {
            if let Some(arn) = subscription.arn
                && let Some(url) = self.url_beside(&own, &subscription.queue_arn)
            {
                let queue = Queue::new(&self.sqs, &url, "queue", self.topic.metrics());
                match arn_of(&queue, "reap").await {
                    Err(error) if error.kind() == ErrorKind::Config => drop(orphans.insert(arn)),
                    found => drop(found?),
                }
            }
        }
        Ok(orphans)
    }

    /// The URL of a queue beside our own that this program named, for another instance.
    fn url_beside(&self, own: &Own, queue_arn: &str) -> Option<String> {
        let (ours, theirs) = (Arn::parse(&own.queue_arn)?, Arn::parse(queue_arn)?);
        let instance = theirs.name.strip_prefix(&*self.prefix)?.strip_prefix('-')?;
        InstanceId::parse(instance).ok()?;
        let (beside, _) = own.queue_url.rsplit_once('/')?;
        let same_place = Arn { name: theirs.name, ..ours } == theirs;
        (same_place && theirs.name != ours.name).then(|| format!("{beside}/{}", theirs.name))
    }
}
