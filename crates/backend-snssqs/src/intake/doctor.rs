//! Checks the worker's whole way from the request queue to the topics, a line each.

use aws_common::{
    client::{self, SdkConfig},
    operator::{DateObserver, WorkerChecks, failed, identity, large_payloads, region},
};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    operator::{Check, Report},
};

use super::SnsSqsIntakeConfig;
use crate::{
    backend::NAME,
    clients::Clients,
    doctor::{
        queue::lets_send,
        subscription::{self, Subscribed},
    },
    topic::Topic,
};

/// What is said of the request queue's subscription.
const OF_REQUESTS: Subscribed = Subscribed {
    subject: "subscription of the request queue",
    missing: "so no request comes",
    unfiltered: "all requests",
    no_filter: "remove the filter, unless other workers take the rest",
};

/// Looks at credentials, region, clock, the request queue with its permissions and its dead letters, the subscription to the request topic
/// where that is named, and the worker's own queue, one of which is created on trial and deleted. `max_receives` and `sole`
/// are those of `[worker]`. Nothing is sent or received.
///
/// `sdk` is a configuration of the caller's own, in the place of one loaded from the settings and the environment.
pub async fn intake_doctor(
    config: &SnsSqsIntakeConfig,
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
    let clients = Clients {
        sns: aws_sdk_sns::Client::from_conf(
            aws_sdk_sns::config::Builder::from(&sdk).interceptor(dates.clone()).build(),
        ),
        sqs: aws_sdk_sqs::Client::from_conf(
            aws_sdk_sqs::config::Builder::from(&sdk).interceptor(dates.clone()).build(),
        ),
    };
    let metrics = BackendMetrics::for_intake(NAME, &mut Registry::default());
    report(identity(&sdk).await);
    report(region(&sdk, &config.queue_url));
    payloads.into_iter().for_each(&mut *report);

    let queues = WorkerChecks {
        client: &clients.sqs,
        queue_url: &config.queue_url,
        dead_letter_queue_url: config.dead_letter_queue_url.as_deref(),
        own_queue_prefix: &config.own_queue_prefix,
        visibility_timeout: config.visibility_timeout,
        max_receives,
        metrics: &metrics,
    };
    let Some(found) = queues.check_requests(&dates, report).await else { return };
    match &config.request_topic_arn {
        Some(arn) => {
            let topic = Topic::new(&clients.sns_for(arn), arn, "request topic", &metrics);
            report(lets_send(&queues.requests(), &found, arn));
            report(subscription::check(&OF_REQUESTS, &topic, &found, config.raw_message_delivery).await);
        }
        None => report(Check::skipped(OF_REQUESTS.subject, "set request_topic_arn to have it looked at")),
    }
    report(Check::skipped(
        "permission sns:Publish",
        "clients name the topics of answers when they begin a session",
    ));
    queues.check_own(sole, report).await;
}
