//! Checks the worker's whole way from the request queue to the topics, a line each.

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
use aws_sdk_sqs::types::QueueAttributeName;
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

/// What the line about the trial is about.
const CREATION: &str = "creation of the worker's own queue";

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

    let requests = Queue::new(&clients.sqs, &config.queue_url, "request queue", &metrics);
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
        let letters = Queue::new(&clients.sqs, &url, "dead-letter queue", &metrics);
        report(permission(&letters, QueuePermission::Send).await);
    }
    match &config.request_topic_arn {
        Some(arn) => {
            let topic = Topic::new(&clients.sns_for(arn), arn, "request topic", &metrics);
            report(lets_send(&requests, &found, arn));
            report(subscription::check(&OF_REQUESTS, &topic, &found, config.raw_message_delivery).await);
        }
        None => report(Check::skipped(OF_REQUESTS.subject, "set request_topic_arn to have it looked at")),
    }
    report(Check::skipped(
        "permission sns:Publish",
        "clients name the topics of answers when they begin a session",
    ));
    if sole {
        return report(Check::skipped(CREATION, "the only worker needs none"));
    }
    let prefix = &config.own_queue_prefix;
    report(match try_worker_queue(&clients.sqs, prefix, &metrics).await {
        Ok(()) => Check::good(CREATION, "one on trial was created and deleted again"),
        Err(error) => failed(CREATION, &error),
    });
    report(left_behind_by_workers(dead_worker_queues(&clients.sqs, prefix, &metrics).await));
}
