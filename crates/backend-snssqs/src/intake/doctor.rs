//! Checks the worker's whole way from the request queue to the topics, a line each.

use std::time::Duration;

use aws_common::{
    Queue, QueueMaker, QueuePermission, QueuePlan,
    client::{self, ClientSettings, SdkConfig},
    operator::{
        DateObserver, clock, dead_letters, failed, identity, is_there, left_behind, permission, region,
    },
};
use aws_sdk_sqs::types::QueueAttributeName;
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    id::InstanceId,
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

/// How long a queue that is created on trial would keep messages.
const TRIAL: Duration = Duration::from_mins(1);

/// What the line about the trial is about.
const CREATION: &str = "creation of the worker's own queue";

/// Looks at credentials, region, clock, the request queue with its permissions and its dead letters, the subscription to the request topic
/// where that is named, and the worker's own queue, one of which is created on trial and removed. Nothing is sent or received.
///
/// `sdk` is a configuration of the caller's own, in the place of one loaded from the settings and the environment.
pub async fn intake_doctor(config: &SnsSqsIntakeConfig, sdk: Option<SdkConfig>, report: Report<'_, Check>) {
    let settings =
        ClientSettings { endpoint_url: config.endpoint_url.clone(), region: config.region.clone() };
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
    let metrics = BackendMetrics::new(NAME, &mut Registry::default());
    report(identity(&sdk).await);
    report(region(&sdk, &config.queue_url));

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
    report(dead_letters("request queue", &found));
    if let Some(url) = &config.dead_letter_queue_url {
        let letters = Queue::new(&clients.sqs, url, "dead-letter queue", &metrics);
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
    own_queue(config, &clients, &metrics, report).await;
    report(Check::skipped(
        "permission sns:Publish",
        "clients name the topics of answers when they begin a session",
    ));
}

/// The lines about the queue for the later requests of the worker's own sessions.
async fn own_queue(
    config: &SnsSqsIntakeConfig,
    clients: &Clients,
    metrics: &BackendMetrics,
    report: Report<'_, Check>,
) {
    let plan = QueuePlan {
        prefix: config.own_queue_prefix.as_str().into(),
        instance: InstanceId::random(),
        request_timeout_max: TRIAL,
        dependents: None,
    };
    let maker = QueueMaker::new(clients.sqs.clone(), plan, metrics.clone());
    let created = match Box::pin(maker.create(None, "start")).await {
        Ok(created) => created,
        Err(error) => return report(failed(CREATION, &error)),
    };
    report(match created.try_delete().await {
        Ok(()) => Check::good(CREATION, "one on trial was created and removed again"),
        Err(error) => failed(CREATION, &error),
    });
    report(left_behind(maker.look_for_dead().await));
}
