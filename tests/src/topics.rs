//! Queues and topics on an emulator, wired as SNS+SQS needs them.

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use testkit::emulator::{client_for, sns_client_for};

/// What names of FIFO queues and topics end in.
const FIFO: &str = ".fifo";

/// What lies between the proxy and a server behind SNS+SQS.
#[derive(Debug, Clone)]
pub struct Topics {
    /// The emulator.
    pub endpoint: String,
    /// Where the proxy sends requests.
    pub request_topic: String,
    /// The queue that the server reads.
    pub requests: String,
    /// Where the server sends answers.
    pub response_topic: String,
    /// The queue that the proxy reads.
    pub responses: String,
}

impl Topics {
    /// Creates them. The request queue gets the envelope, as asyncmcp's own examples have it; the response queue gets the bare message
    /// where it is `raw`. A name of requests that ends in `.fifo` makes topic and queue of that kind.
    pub async fn create(endpoint: &str, requests: &str, raw: bool) -> Result<Self> {
        let request_topic = create_topic(endpoint, requests).await?;
        let response_topic = create_topic(endpoint, "responses").await?;
        let requests = create_queue(endpoint, requests).await?;
        let responses = create_queue(endpoint, "responses").await?;
        subscribe(endpoint, &request_topic, &requests, false).await?;
        subscribe(endpoint, &response_topic, &responses, raw).await?;
        Ok(Self { endpoint: endpoint.to_owned(), request_topic, requests, response_topic, responses })
    }
}

/// Creates a topic and returns its ARN.
pub async fn create_topic(endpoint: &str, name: &str) -> Result<String> {
    let mut create = sns_client_for(endpoint, "test").create_topic().name(name);
    if name.ends_with(FIFO) {
        create = create.attributes("FifoTopic", "true");
    }
    let created = create.send().await?;
    created.topic_arn.context("a topic without an ARN")
}

/// Creates a queue and returns its URL.
pub async fn create_queue(endpoint: &str, name: &str) -> Result<String> {
    let mut create = client_for(endpoint, "test").create_queue().queue_name(name);
    if name.ends_with(FIFO) {
        create = create.attributes(QueueAttributeName::FifoQueue, "true");
    }
    let created = create.send().await?;
    created.queue_url.context("a queue without a URL")
}

/// Subscribes a queue to a topic.
pub async fn subscribe(endpoint: &str, topic: &str, queue: &str, raw: bool) -> Result<()> {
    let sqs = client_for(endpoint, "test");
    let attributes =
        sqs.get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::QueueArn);
    let attributes = attributes.send().await?.attributes.unwrap_or_default();
    let arn = attributes.get(&QueueAttributeName::QueueArn).context("a queue without an ARN")?;
    // A topic sends only to a queue whose policy lets it.
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }]});
    let set = sqs.set_queue_attributes().queue_url(queue);
    set.attributes(QueueAttributeName::Policy, policy.to_string()).send().await?;
    let subscribe =
        sns_client_for(endpoint, "test").subscribe().topic_arn(topic).protocol("sqs").endpoint(arn);
    subscribe.attributes("RawMessageDelivery", raw.to_string()).send().await?;
    Ok(())
}
