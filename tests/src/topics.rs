//! Queues and topics on an emulator, wired as SNS+SQS needs them.

use anyhow::{Context as _, Result};
use aws_sdk_sns::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use testkit::emulator::client_for;

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

/// A client of the SNS at this endpoint.
pub fn sns(endpoint: &str) -> aws_sdk_sns::Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "secret", None, None, "e2e"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    aws_sdk_sns::Client::from_conf(config.build())
}

/// Creates a topic and returns its ARN.
pub async fn create_topic(endpoint: &str, name: &str) -> Result<String> {
    let mut create = sns(endpoint).create_topic().name(name);
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
    let subscribe = sns(endpoint).subscribe().topic_arn(topic).protocol("sqs").endpoint(arn);
    subscribe.attributes("RawMessageDelivery", raw.to_string()).send().await?;
    Ok(())
}
