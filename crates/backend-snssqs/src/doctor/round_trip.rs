//! How long a message takes from the response topic to the reply queue.

use std::time::Duration;

use aws_common::{Call, Queue, attributes::Received, operator::failed};
use aws_sdk_sqs::{Client, types::Message};
use proxy_core::{error::BackendError, id::InstanceId, operator::Check};
use tokio::time::{Instant, timeout_at};

use crate::{envelope::decode, proof, topic::Topic};

/// How long it may take. A new filter may take longer, which the proxy waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a receive waits, in seconds.
const WAIT: i32 = 5;

/// For how long what is not ours is given back, in seconds: its reader is held up no longer.
const GIVEN_BACK: i32 = 1;

/// Publishes a message to `instance`, and waits for it in the queue.
pub(super) async fn check(topic: &Topic, client: &Client, queue: &Queue, instance: &InstanceId) -> Check {
    const SUBJECT: &str = "way of an answer";
    let started = Instant::now();
    let trip = async {
        proof::publish(topic, instance).await?;
        while !receive(client, queue, instance).await? {}
        Ok::<_, BackendError>(())
    };
    match timeout_at(started + PATIENCE, trip).await {
        Ok(Ok(())) => {
            let took = started.elapsed().as_millis();
            let seen = format!("a message came from {} to {} in {took} ms", topic.name(), queue.name());
            Check::good(SUBJECT, seen)
        }
        Ok(Err(error)) => failed(SUBJECT, &error),
        Err(_) => Check::failed(
            SUBJECT,
            format!("a message to {} did not come to {} in 30 s", topic.name(), queue.name()),
            "see the lines above; a subscription or filter that is new takes up to 15 minutes, and another reader may have taken the message",
        ),
    }
}

/// Whether a receive brought the message; the others are given back.
async fn receive(client: &Client, queue: &Queue, instance: &InstanceId) -> Result<bool, BackendError> {
    let call = |permission| Call { operation: "doctor", permission, target: queue.name(), sends: false };
    let request = client
        .receive_message()
        .queue_url(queue.url())
        .max_number_of_messages(10)
        .wait_time_seconds(WAIT)
        .message_attribute_names("All");
    let received = request.send().await.map_err(|error| call("sqs:ReceiveMessage").failed(&error))?;
    let is_ours = |message: &Message| matches!(decode(message), Ok(Received::Probe(probed)) if *probed == *instance.as_str());
    let mut found = false;
    for message in received.messages.unwrap_or_default() {
        if is_ours(&message) {
            found = true;
            let request = client.delete_message().queue_url(queue.url());
            let sent = request.set_receipt_handle(message.receipt_handle).send().await;
            sent.map_err(|error| call("sqs:DeleteMessage").failed(&error))?;
        } else {
            let request = client.change_message_visibility().queue_url(queue.url());
            let request = request.visibility_timeout(GIVEN_BACK);
            let sent = request.set_receipt_handle(message.receipt_handle).send().await;
            sent.map_err(|error| call("sqs:ChangeMessageVisibility").failed(&error))?;
        }
    }
    Ok(found)
}
