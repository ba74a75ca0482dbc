//! Queues that dead proxies left behind.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use aws_common::{Dependents, Queue, QueueMaker, QueuePlan};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    error::{BackendError, ErrorKind},
    id::InstanceId,
};
use testkit::emulator::{Emulator, client_for};

use crate::harness::{PROXY, Setup, World, emulator, eventually};

const PREFIX: &str = "mcp-proxy-responses";

/// Creates a queue as the proxy does, whose owner lived until so many minutes ago.
pub(crate) async fn left_behind(
    emulator: &Emulator,
    prefix: &str,
    instance: &InstanceId,
    minutes: u64,
) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let name = format!("{prefix}-{}", instance.as_str());
    let create = emulator
        .client()
        .create_queue()
        .queue_name(&name)
        .tags("mcp-proxy-instance", instance.as_str())
        .tags("mcp-proxy-alive-until", (now - minutes * 60).to_string());
    create.send().await.unwrap();
    name
}

fn maker(emulator: &Emulator, dependents: Option<Arc<dyn Dependents>>) -> QueueMaker {
    let plan = QueuePlan {
        prefix: PREFIX.into(),
        instance: InstanceId::random(),
        request_timeout_max: Duration::from_hours(1),
        dependents,
    };
    let client = client_for(&emulator.endpoint_url(), PROXY);
    QueueMaker::new(client, plan, BackendMetrics::new("sqs", &mut Registry::default()))
}

#[tokio::test]
async fn only_queues_with_our_prefix_and_tags_that_are_long_past_are_removed() {
    let emulator = emulator().await;
    let dead = left_behind(&emulator, PREFIX, &InstanceId::random(), 16).await;
    let resting = left_behind(&emulator, PREFIX, &InstanceId::random(), 14).await;
    let others = left_behind(&emulator, "other-responses", &InstanceId::random(), 600).await;
    let untagged = format!("{PREFIX}-{}", InstanceId::random().as_str());
    emulator.create_queue(&untagged, &[]).unwrap();
    let theirs = format!("{PREFIX}-archive");
    emulator.create_queue(&theirs, &[]).unwrap();
    let setup = Setup { change: |config| config.response_queue_url = None, ..Setup::default() };
    let mut world = World::with(emulator, setup).await;
    eventually(|| world.emulator.depth(&dead).is_none()).await;
    let own = format!("{PREFIX}-{}", world.instance.as_str());
    for name in [&resting, &others, &untagged, &theirs, &own] {
        assert!(world.emulator.depth(name).is_some(), "{name}");
    }
    world.stop().await;
}

#[tokio::test]
async fn two_reapers_at_once_do_no_harm() {
    let emulator = emulator().await;
    for _ in 0..3 {
        left_behind(&emulator, PREFIX, &InstanceId::random(), 60).await;
    }
    let (one, other) = (maker(&emulator, None), maker(&emulator, None));
    let (one, other) = tokio::join!(one.reap_once(), other.reap_once());
    assert!(one.unwrap() + other.unwrap() >= 3);
    let left = emulator.client().list_queues().queue_name_prefix(PREFIX).send().await.unwrap();
    assert_eq!(left.queue_urls(), &[] as &[String]);
}

#[tokio::test]
async fn without_the_permission_the_proxy_runs_and_asks_no_more() {
    for permission in ["ListQueues", "ListQueueTags"] {
        let emulator = emulator().await;
        let dead = left_behind(&emulator, PREFIX, &InstanceId::random(), 16).await;
        emulator.deny_to(PROXY, permission);
        let setup = Setup { change: |config| config.response_queue_url = None, ..Setup::default() };
        let mut world = World::with(emulator, setup).await;
        eventually(|| world.calls(permission) > 0).await;
        world.send(&crate::harness::call(1)).await.unwrap();
        world.stop().await;
        assert_eq!(world.calls(permission), 1);
        assert!(world.emulator.depth(&dead).is_some());
    }
}

/// Fails as often as it is told to.
#[derive(Debug)]
struct Subscription {
    failures: AtomicUsize,
    kind: ErrorKind,
}

#[async_trait]
impl Dependents for Subscription {
    async fn attach(&self, _queue: &Queue) -> Result<(), BackendError> {
        Ok(())
    }

    async fn detach(&self, _queue: &Queue) -> Result<(), BackendError> {
        let failing =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match failing {
            Ok(_) => Err(BackendError::new(self.kind, "reap", "the subscription stays")),
            Err(_) => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_dead_queue_waits_for_what_feeds_it_to_be_removed_unless_that_is_not_allowed() {
    let emulator = emulator().await;
    left_behind(&emulator, PREFIX, &InstanceId::random(), 60).await;
    let feed = |kind| Arc::new(Subscription { failures: AtomicUsize::new(1), kind });
    let reaper = maker(&emulator, Some(feed(ErrorKind::Unavailable)));
    assert_eq!(reaper.reap_once().await.unwrap(), 0);
    assert_eq!(reaper.reap_once().await.unwrap(), 1);
    left_behind(&emulator, PREFIX, &InstanceId::random(), 60).await;
    assert_eq!(maker(&emulator, Some(feed(ErrorKind::Denied))).reap_once().await.unwrap(), 1);
}

/// Comes back to life while what feeds another queue is removed.
#[derive(Debug)]
struct Waking {
    emulator_client: aws_sdk_sqs::Client,
    urls: Vec<String>,
}

#[async_trait]
impl Dependents for Waking {
    async fn attach(&self, _queue: &Queue) -> Result<(), BackendError> {
        Ok(())
    }

    async fn detach(&self, queue: &Queue) -> Result<(), BackendError> {
        let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 900;
        for url in self.urls.iter().filter(|url| *url != queue.url()) {
            let refresh = self.emulator_client.tag_queue().queue_url(url);
            let refreshed = refresh.tags("mcp-proxy-alive-until", soon.to_string()).send().await;
            refreshed.map_err(|_| BackendError::new(ErrorKind::Unavailable, "reap", "it is gone already"))?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_queue_whose_owner_woke_up_meanwhile_stays() {
    let emulator = emulator().await;
    let mut urls = Vec::new();
    for _ in 0..2 {
        let name = left_behind(&emulator, PREFIX, &InstanceId::random(), 60).await;
        urls.push(emulator.queue_url(&name));
    }
    let reaper = maker(&emulator, Some(Arc::new(Waking { emulator_client: emulator.client(), urls })));
    assert_eq!(reaper.reap_once().await.unwrap(), 1);
    let left = emulator.client().list_queues().queue_name_prefix(PREFIX).send().await.unwrap();
    assert_eq!(left.queue_urls().len(), 1);
}

/// Cannot be made.
#[derive(Debug)]
struct Unattachable;

#[async_trait]
impl Dependents for Unattachable {
    async fn attach(&self, _queue: &Queue) -> Result<(), BackendError> {
        Err(BackendError::new(ErrorKind::Denied, "start", "no subscription"))
    }

    async fn detach(&self, _queue: &Queue) -> Result<(), BackendError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_queue_that_cannot_be_fed_is_deleted_again() {
    let emulator = emulator().await;
    let error = maker(&emulator, Some(Arc::new(Unattachable))).create(None, "start").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let left = emulator.client().list_queues().queue_name_prefix(PREFIX).send().await.unwrap();
    assert_eq!(left.queue_urls(), &[] as &[String]);
}
