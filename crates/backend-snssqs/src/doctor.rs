//! Checks the whole way to the topics and back, a line each.

mod created;
mod given;
pub(crate) mod queue;
mod round_trip;
pub(crate) mod subscription;
mod topics;

use aws_common::{
    client::{self, ClientSettings, SdkConfig},
    operator::{DateObserver, clock, failed, identity, large_payloads, region},
};
use aws_sdk_sqs::config::Region;
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    operator::{Check, Report},
};

use crate::{SnsSqsConfig, backend::NAME, clients::Clients, topic::Topic};

/// Looks at credentials, region, clock, both topics with their subscriptions, the queues with their policies, each permission, who else
/// reads the reply queue, and how long a message takes from the response topic to the reply queue. Publishes one message to itself there;
/// sends twenty to a configured reply queue and takes them out again; where queue and subscription are the proxy's to create, they are
/// created and removed.
///
/// `sdk` is a configuration of the caller's own, in the place of one loaded from the settings and the environment.
pub async fn doctor(config: &SnsSqsConfig, sdk: Option<SdkConfig>, report: Report<'_, Check>) {
    let settings = ClientSettings { endpoint_url: config.endpoint_url.clone(), region: None };
    let queues = config.queue_settings();
    let payloads =
        large_payloads(config.large_payloads.as_ref(), sdk.as_ref(), &queues, &config.response_topic_arn)
            .await;
    let loaded = match sdk {
        Some(own) => Ok(own),
        None => client::load(&settings, &config.sns_topic_arn).await,
    };
    let sdk = match loaded {
        Ok(sdk) => sdk,
        Err(error) => return report(failed("region", &error)),
    };
    let dates = DateObserver::default();
    let clients = clients(config, &sdk, &dates);
    let metrics = BackendMetrics::new(NAME, &mut Registry::default());
    report(identity(&sdk).await);
    report(region(&sdk, &config.sns_topic_arn));
    payloads.into_iter().for_each(&mut *report);

    let requests = Topic::new(&clients.sns, &config.sns_topic_arn, "request topic", &metrics);
    let found = requests.attributes("start").await;
    report(clock(dates.ahead()));
    topics::requests(config, &requests, found, report).await;
    queue::of_server(config, &clients.sqs_beside(&config.sns_topic_arn), report).await;
    let answers = Topic::new(&clients.sns, &config.response_topic_arn, "response topic", &metrics);
    if !topics::answers(&answers, report).await {
        return;
    }
    match &config.sqs_queue_url {
        Some(url) => given::check(config, &clients, &answers, url, report).await,
        None => created::check(config, &clients, answers, report).await,
    }
}

/// Clients that note the dates of answers; the queue may be in a region of its own.
fn clients(config: &SnsSqsConfig, sdk: &SdkConfig, dates: &DateObserver) -> Clients {
    let sns = aws_sdk_sns::config::Builder::from(sdk).interceptor(dates.clone());
    let mut sqs = aws_sdk_sqs::config::Builder::from(sdk).interceptor(dates.clone());
    if let Some(region) = config.reply_queue_region() {
        sqs = sqs.region(Region::new(region.to_owned()));
    }
    Clients {
        sns: aws_sdk_sns::Client::from_conf(sns.build()),
        sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
    }
}
