//! Checks the worker's whole way from the request queue, a line each.

use aws_common::{
    client::{self, SdkConfig},
    operator::{DateObserver, WorkerChecks, failed, identity, large_payloads, region},
};
use aws_sdk_sqs::{Client, config::Builder};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    operator::{Check, Report},
};

use super::SqsIntakeConfig;
use crate::backend::NAME;

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

    let queues = WorkerChecks {
        client: &client,
        queue_url: &config.queue_url,
        dead_letter_queue_url: config.dead_letter_queue_url.as_deref(),
        own_queue_prefix: &config.own_queue_prefix,
        visibility_timeout: config.visibility_timeout,
        max_receives,
        metrics: &metrics,
    };
    if queues.check_requests(&dates, report).await.is_some() {
        queues.check_own(sole, report).await;
    }
}
