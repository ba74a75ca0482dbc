//! Checks the worker's whole way from the request queue, a line each.

use aws_common::{
    Queue, QueuePermission,
    client::{self, SdkConfig},
    dead_worker_queues,
    operator::{
        DateObserver, clock, dead_letters_of_worker, failed, hidden_for, identity, is_there, large_payloads,
        left_behind_by_workers, permission, region,
    },
    try_worker_queue,
};
use aws_sdk_sqs::{Client, config::Builder, types::QueueAttributeName};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    operator::{Check, Report},
};

use super::SqsIntakeConfig;
use crate::backend::NAME;

/// What the line about the trial is about.
const CREATION: &str = "creation of the worker's own queue";

/// Looks at credentials, region, clock, the request queue with its permissions and dead letters, and the worker's own queue, one of which is
/// created on trial and deleted. `max_receives` and `sole` are those of `[worker]`. Nothing is received.
///
/// `sdk` is a configuration of the caller's own, in the place of one loaded from the settings and the environment.
pub async fn intake_doctor(
    config: &SqsIntakeConfig,
    max_receives: u32,
    sole: bool,
    sdk: Option<SdkConfig>,
    report: Report<'_, Check>,
) {
    let settings = config.client_settings();
    let payloads =
        large_payloads(config.large_payloads.as_ref(), sdk.as_ref(), &settings, &config.queue_url).await;
    let loaded = match sdk {
        Some(own) => Ok(own),
        None => client::load(&settings, &config.queue_url).await,
    };
    let sdk = match loaded {
        Ok(sdk) => sdk,
        Err(error) => return report(failed("region", &error)),
    };
    let dates = DateObserver::default();
    let client = Client::from_conf(Builder::from(&sdk).interceptor(dates.clone()).build());
    let metrics = BackendMetrics::for_intake(NAME, &mut Registry::default());
    report(identity(&sdk).await);
    report(region(&sdk, &config.queue_url));
    payloads.into_iter().for_each(&mut *report);

    let requests = Queue::new(&client, &config.queue_url, "request queue", &metrics);
    let found = requests.attributes("start", [QueueAttributeName::All]).await;
    report(clock(dates.ahead()));
    report(is_there(&requests, found.as_ref()));
    let Ok(found) = found else { return };
    for needed in
        [QueuePermission::Receive, QueuePermission::Delete, QueuePermission::Hide, QueuePermission::Send]
    {
        report(permission(&requests, needed).await);
    }
    report(hidden_for(config.visibility_timeout));
    let (check, letters) = dead_letters_of_worker(
        &config.queue_url,
        config.dead_letter_queue_url.as_deref(),
        &found,
        max_receives,
    );
    report(check);
    if let Some(url) = letters {
        let letters = Queue::new(&client, &url, "dead-letter queue", &metrics);
        report(permission(&letters, QueuePermission::Send).await);
    }
    if sole {
        return report(Check::skipped(CREATION, "the only worker needs none"));
    }
    let prefix = &config.own_queue_prefix;
    report(match try_worker_queue(&client, prefix, &metrics).await {
        Ok(()) => Check::good(CREATION, "one on trial was created and deleted again"),
        Err(error) => failed(CREATION, &error),
    });
    report(left_behind_by_workers(dead_worker_queues(&client, prefix, &metrics).await));
}
