//! Removes the queues that dead instances left behind.

use std::{collections::HashMap, time::Duration};

use proxy_core::{
    error::{BackendError, ErrorKind},
    id::InstanceId,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    QueueMaker,
    purpose::Purpose,
    tags::{ALIVE_UNTIL_TAG, INSTANCE_TAG, since_epoch},
};
use crate::{error::Call, queue::Queue};

/// The most queues that one call lists (AWS, `ListQueues`).
const PAGE: i32 = 1000;

/// The length of an instance id in a queue's name.
const INSTANCE: usize = 22;

impl QueueMaker {
    /// Removes the queues of dead instances, now and then every so often, until `shutdown` fires. Other reapers may do the
    /// same at the same time. Without the permissions for it, it says so once and looks no more.
    pub async fn reap(&self, shutdown: CancellationToken) {
        let Purpose { owner, .. } = self.purpose;
        let reaping = async {
            let mut others = 0;
            loop {
                match self.reap_among(&mut others).await {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Denied => {
                        tracing::info!(reason = %error, "queues that dead {owner}s left behind are not removed");
                        return;
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, error.type = error.kind().as_str(), "queues that dead {owner}s left behind could not be looked for");
                    }
                }
                // jittered, so that replicas look at different times
                sleep(self.purpose.next_reap(others)).await;
            }
        };
        shutdown.run_until_cancelled(reaping).await;
    }

    /// Removes the queues of dead instances that there are now, and says how many those were.
    ///
    /// # Errors
    /// When the queues, or their tags, cannot be looked at.
    pub async fn reap_once(&self) -> Result<usize, BackendError> {
        self.reap_among(&mut 0).await
    }

    /// Also says how many queues of other instances there are.
    async fn reap_among(&self, others: &mut usize) -> Result<usize, BackendError> {
        let mut reaped = 0;
        let queues = self.another_instances().await?;
        *others = queues.len();
        for queue in queues {
            // removed at once: an owner that was asleep may refresh its tag while others' are looked at
            if self.is_dead(&queue, self.purpose.dead_for).await? {
                reaped += usize::from(self.remove(&queue).await?);
            }
        }
        Ok(reaped)
    }

    /// Says how many queues of dead instances there are now.
    ///
    /// # Errors
    /// As [`QueueMaker::reap_once`].
    pub async fn look_for_dead(&self) -> Result<usize, BackendError> {
        let mut dead = 0;
        for queue in self.another_instances().await? {
            dead += usize::from(self.is_dead(&queue, self.purpose.dead_for).await?);
        }
        Ok(dead)
    }

    /// The queues whose names are ones that this program gives, for another instance: only their tags are looked at.
    async fn another_instances(&self) -> Result<Vec<Queue>, BackendError> {
        let mut queues = Vec::new();
        let mut next = None;
        loop {
            let (urls, following) = self.list(next).await?;
            let others = urls.iter().filter(|url| {
                instance_of(url, &self.plan.prefix).is_some_and(|instance| instance != self.plan.instance)
            });
            queues.extend(others.map(|url| Queue::new(&self.client, url, "queue", &self.metrics)));
            next = following;
            if next.is_none() {
                return Ok(queues);
            }
        }
    }

    async fn list(&self, next: Option<String>) -> Result<(Vec<String>, Option<String>), BackendError> {
        let prefix = format!("{}-", self.plan.prefix);
        let request = self.client.list_queues().queue_name_prefix(prefix).max_results(PAGE);
        let call =
            Call { operation: "reap", permission: "sqs:ListQueues", target: "the account", sends: false };
        let result = request.set_next_token(next).send().await.map_err(|error| call.failed(&error));
        self.metrics.called("ListQueues", result.as_ref().map(|_| ()));
        let output = result?;
        Ok((output.queue_urls.unwrap_or_default(), output.next_token))
    }

    async fn is_dead(&self, queue: &Queue, dead_for: Duration) -> Result<bool, BackendError> {
        self.pace.turn().await;
        match self.tags(queue).await {
            // another reaper was faster
            Err(error) if error.kind() == ErrorKind::Config => Ok(false),
            tags => {
                let named = instance_of(queue.url(), &self.plan.prefix);
                Ok(is_dead(&tags?, named.as_ref(), dead_for, since_epoch()))
            }
        }
    }

    async fn remove(&self, queue: &Queue) -> Result<bool, BackendError> {
        let Purpose { owner, .. } = self.purpose;
        if let Some(dependents) = &self.plan.dependents
            && let Err(error) = dependents.detach(queue).await
        {
            tracing::warn!(error = %error, error.type = error.kind().as_str(), "a dead {owner}'s queue is not ready to be removed");
            if error.kind() != ErrorKind::Denied {
                return Ok(false);
            }
        }
        // what was in it took its time, in which its worker may have come back; and what that one had in hand may come yet
        if self.purpose.is_taken_over && !self.is_dead(queue, self.purpose.removed_after).await? {
            return Ok(false);
        }
        match self.call_delete(queue).await {
            Ok(()) => {
                tracing::info!(
                    messaging.destination.name = queue.name(),
                    "a dead {owner}'s queue was deleted"
                );
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Config => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn tags(&self, queue: &Queue) -> Result<HashMap<String, String>, BackendError> {
        let request = self.client.list_queue_tags().queue_url(queue.url());
        let call =
            Call { operation: "reap", permission: "sqs:ListQueueTags", target: queue.name(), sends: false };
        let result = request.send().await.map_err(|error| call.failed(&error));
        self.metrics.called("ListQueueTags", result.as_ref().map(|_| ()));
        Ok(result?.tags.unwrap_or_default())
    }
}

/// The instance in the name of a queue that was created under this prefix: `{prefix}-{instance}`, or `{prefix}-{instance}-{suffix}`.
fn instance_of(url: &str, prefix: &str) -> Option<InstanceId> {
    let rest = url.rsplit('/').next()?.strip_prefix(prefix)?.strip_prefix('-')?;
    let (instance, suffix) = rest.split_at_checked(INSTANCE)?;
    let named = suffix.is_empty() || suffix.starts_with('-');
    named.then(|| InstanceId::parse(instance).ok()).flatten()
}

/// Whether a queue with these tags has the owner that its name says, and that is dead for so long. One without both tags is none of ours.
fn is_dead(
    tags: &HashMap<String, String>,
    named: Option<&InstanceId>,
    dead_for: Duration,
    now: Duration,
) -> bool {
    let owner = tags.get(INSTANCE_TAG).map(String::as_str);
    let until = tags.get(ALIVE_UNTIL_TAG).and_then(|until| until.parse().ok()).map(Duration::from_secs);
    owner.is_some()
        && owner == named.map(InstanceId::as_str)
        && until.is_some_and(|until| now.saturating_sub(dead_for) > until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_this_program_gives_are_looked_at() {
        let instance = InstanceId::random();
        let id = instance.as_str();
        let of =
            |name: &str| instance_of(&format!("https://sqs.eu-west-1.amazonaws.com/1/{name}"), "answers");
        assert_eq!(of(&format!("answers-{id}")), Some(instance.clone()));
        assert_eq!(of(&format!("answers-{id}-0123456789abcdef")), Some(instance.clone()));
        for name in [
            "answers".to_owned(),
            "answers-of-the-search-team".to_owned(),
            format!("answers-{id}x"),
            format!("answers-{id}.fifo"),
            format!("other-{id}"),
            format!("answersx-{id}"),
        ] {
            assert_eq!(of(&name), None, "{name}");
        }
    }

    #[test]
    fn a_queue_is_dead_when_both_tags_say_so_for_fifteen_minutes() {
        let (instance, other) = (InstanceId::random(), InstanceId::random());
        let tags = |owner: Option<&InstanceId>, until: Option<&str>| {
            let owner = owner.map(|owner| (INSTANCE_TAG.to_owned(), owner.as_str().to_owned()));
            let until = until.map(|until| (ALIVE_UNTIL_TAG.to_owned(), until.to_owned()));
            owner.into_iter().chain(until).collect::<HashMap<_, _>>()
        };
        let now = Duration::from_secs(10_000);
        let dead = |tags: &HashMap<_, _>| is_dead(tags, Some(&instance), Purpose::REPLIES.dead_for, now);
        assert!(dead(&tags(Some(&instance), Some("9099"))));
        assert!(!dead(&tags(Some(&instance), Some("9100"))), "15 minutes past it, not yet more");
        assert!(!dead(&tags(Some(&instance), None)));
        assert!(!dead(&tags(None, Some("1"))));
        assert!(!dead(&tags(Some(&other), Some("1"))));
        assert!(!dead(&tags(Some(&instance), Some("soon"))));
    }
}
