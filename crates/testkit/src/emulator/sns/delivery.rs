//! The way of a published message into the queues that are subscribed.
//!
//! Whatever a queue does not take is lost, as on AWS where a subscription has no dead-letter queue: the queue is gone, its
//! policy does not let the topic send, it has SQS's own KMS key, or the copy is against the rules of SQS.

use std::time::SystemTime;

use tokio::time::Instant;

use super::envelope::Envelope;
use super::publication::Publication;
use super::subscription::Subscription;
use super::topic::{Receipt, Topic};
use crate::emulator::account::{ACCOUNT_ID, State};
use crate::emulator::sqs::access_policy::{Sender, lets_send};
use crate::emulator::sqs::message::Draft;
use crate::emulator::sqs::queue::Queue;
use crate::emulator::sqs::rules::message;

impl State {
    /// Gives every subscription whose filter accepts the message its copy.
    pub(super) fn deliver(
        &mut self,
        now: Instant,
        topic_arn: &str,
        publication: &Publication,
        receipt: &Receipt,
    ) {
        let Some(topic) = self.sns.topics.get(topic_arn) else { return };
        for subscription in self.sns.of_topic(topic_arn) {
            if !subscription.accepts(&publication.draft.message_attributes) {
                continue;
            }
            let id = self.ids.next();
            let name = subscription.endpoint.rsplit(':').next().unwrap_or_default();
            let draft = copy(topic, subscription, publication, receipt);
            let taken = match self.queues.get_mut(name) {
                Some(queue) => give(now, queue, topic, subscription, id, draft),
                None => Err("the queue does not exist".to_owned()),
            };
            if let Err(reason) = taken {
                tracing::warn!(
                    topic = topic.name,
                    queue = name,
                    reason,
                    "a copy of a published message is lost"
                );
            }
        }
    }
}

/// The message as the subscription wants it: its body and attributes alone, or the envelope.
fn copy(topic: &Topic, subscription: &Subscription, publication: &Publication, receipt: &Receipt) -> Draft {
    let mut draft = publication.draft.clone();
    if !subscription.is_raw() {
        let envelope = Envelope {
            message_id: &receipt.message_id,
            sequence_number: receipt.sequence_number.as_deref(),
            topic_arn: &topic.arn,
            subject: publication.subject.as_deref(),
            message: &publication.draft.message_body,
            timestamp: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            signature_version: topic.signature_version(),
            subscription_arn: &subscription.arn,
            attributes: &publication.draft.message_attributes,
        };
        draft.message_body = envelope.write();
        draft.message_attributes.clear();
    }
    draft
}

/// Puts a copy into its queue, or says why it is lost.
fn give(
    now: Instant,
    queue: &mut Queue,
    topic: &Topic,
    subscription: &Subscription,
    id: String,
    mut draft: Draft,
) -> Result<(), String> {
    let sender = Sender { source_arn: &topic.arn, source_account: ACCOUNT_ID };
    if !queue.settings.policy().is_some_and(|policy| lets_send(policy, &subscription.endpoint, &sender)) {
        return Err("the queue's policy does not let the topic send".to_owned());
    }
    if queue.settings.has_managed_key() {
        return Err("the queue has the key alias/aws/sqs, which SNS cannot use".to_owned());
    }
    message::check(&draft, queue.settings.maximum_message_size()).map_err(|error| error.to_string())?;
    if !queue.is_fifo() {
        draft.message_deduplication_id = None;
    }
    queue.send(now, id, draft).map(drop).map_err(|error| error.to_string())
}
