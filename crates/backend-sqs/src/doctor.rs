//! Checks the whole way to the queues and back, a line each.

use std::time::Duration;

use aws_common::{
    Queue, QueueAttributes, QueueMaker, QueuePermission, QueuePlan,
    client::{self, SdkConfig},
    operator::{
        DateObserver, clock, dead_letters, failed, identity, is_there, large_payloads, left_behind,
        permission, region, reply_queue,
    },
};
use aws_sdk_sqs::{Client, config::Builder, types::QueueAttributeName};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    error::BackendError,
    id::InstanceId,
    operator::{Check, Report},
};

use crate::{ResponseQueue, SqsConfig, backend::NAME};

/// How long a queue that is created on trial would keep messages.
const TRIAL: Duration = Duration::from_mins(1);

/// What the line about a reply queue of the proxy's own making is about.
const CREATION: &str = "creation of reply queues";

/// Looks at credentials, region, clock, both queues, each permission, and who else reads the reply queue. Sends twenty messages to a
/// configured reply queue and takes them out again; where it is the proxy's to create, one is created and deleted.
///
/// `sdk` is a configuration of the caller's own, in the place of one loaded from the settings and the environment.
pub async fn doctor(config: &SqsConfig, sdk: Option<SdkConfig>, report: Report<'_, Check>) {
    let settings = config.client_settings();
    let payloads =
        large_payloads(config.large_payloads.as_ref(), sdk.as_ref(), &settings, &config.read_queue_url).await;
    let loaded = match sdk {
        Some(own) => Ok(own),
        None => client::load(&settings, &config.read_queue_url).await,
    };
    let sdk = match loaded {
        Ok(sdk) => sdk,
        Err(error) => return report(failed("region", &error)),
    };
    let dates = DateObserver::default();
    let client = Client::from_conf(Builder::from(&sdk).interceptor(dates.clone()).build());
    let metrics = BackendMetrics::new(NAME, &mut Registry::default());
    report(identity(&sdk).await);
    report(region(&sdk, &config.read_queue_url));
    payloads.into_iter().for_each(&mut *report);

    let requests = Queue::new(&client, &config.read_queue_url, "request queue", &metrics);
    let found = look_at(&requests).await;
    report(clock(dates.ahead()));
    report(is_there(&requests, found.as_ref()));
    if let Ok(found) = found {
        report(dead_letters("request queue", &found));
        report(permission(&requests, QueuePermission::Send).await);
    }
    match &config.response_queue_url {
        Some(url) => given(&client, &Queue::new(&client, url, "reply queue", &metrics), report).await,
        None => created(config, &client, &metrics, report).await,
    }
}

/// The lines about a reply queue that is given.
async fn given(client: &Client, replies: &Queue, report: Report<'_, Check>) {
    let found = look_at(replies).await;
    report(is_there(replies, found.as_ref()));
    let Ok(found) = found else { return };
    reply_queue(client, replies, &found, report).await;
}

/// The lines about a reply queue that the proxy is to create.
async fn created(config: &SqsConfig, client: &Client, metrics: &BackendMetrics, report: Report<'_, Check>) {
    let plan = QueuePlan {
        prefix: config.response_queue_prefix.as_str().into(),
        instance: InstanceId::random(),
        request_timeout_max: TRIAL,
        dependents: None,
    };
    let maker = QueueMaker::new(client.clone(), plan, metrics.clone());
    match maker.create(None, "doctor").await {
        Ok(trial) => {
            // readiness looks at the one queue of the process; at those of sessions nothing does
            let looked = match config.response_queue {
                ResponseQueue::Shared => trial.queue().message_bytes("doctor").await.map(|_| ()),
                ResponseQueue::PerSession => Ok(()),
            };
            report(match trial.try_delete().await.and(looked) {
                Ok(()) => Check::good(CREATION, "one on trial was created, looked at and deleted again"),
                Err(error) => failed(CREATION, &error),
            });
        }
        Err(error) => report(failed(CREATION, &error)),
    }
    report(left_behind(maker.look_for_dead().await));
}

async fn look_at(queue: &Queue) -> Result<QueueAttributes, BackendError> {
    queue.attributes("start", [QueueAttributeName::All]).await
}
