//! The actions that publish.

use tokio::time::Instant;

use super::publication::Publication;
use super::topic::Receipt;
use crate::emulator::account::State;
use crate::emulator::error::ServiceError;
use crate::emulator::query::{Form, Xml};
use crate::emulator::sqs::rules::batch;

impl State {
    pub(super) fn publish(&mut self, now: Instant, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let arn = match form.get("TopicArn").or_else(|| form.get("TargetArn")) {
            Some(arn) => topic_arn(arn)?,
            None => {
                return Err(ServiceError::sns_invalid(
                    "TopicArn or TargetArn Reason: no value for required parameter",
                ));
            }
        };
        self.sns.topic(arn)?;
        let receipt = self.publish_one(now, arn, Publication::read(form))?;
        Ok(answer(receipt))
    }

    /// Publishes each entry; one that fails does not fail the others.
    pub(super) fn publish_batch(&mut self, now: Instant, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let arn = topic_arn(form.required("TopicArn")?)?;
        let maximum_size = self.sns.topic(arn)?.maximum_message_size();
        let entries = form.list("PublishBatchRequestEntries.member");
        let ids: Vec<_> = entries.iter().map(|entry| entry.get("Id").unwrap_or_default()).collect();
        batch::check_ids(&ids, "PublishBatchRequestEntry").map_err(ServiceError::of_sns)?;
        let publications: Vec<_> = entries.iter().map(Publication::read).collect();
        let sizes = publications.iter().flatten().map(|publication| publication.draft.size());
        if sizes.sum::<usize>() > maximum_size {
            let message = "The length of all the messages put together is more than the limit.";
            return Err(ServiceError::sns("BatchRequestTooLong", message));
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (id, publication) in ids.into_iter().zip(publications) {
            let result = match self.faults.take_entry() {
                Some(error) => Err(error),
                None => self.publish_one(now, arn, publication),
            };
            let id = Xml::text("Id", id);
            match result {
                Ok(receipt) => successful.push([id].into_iter().chain(answer(receipt)).collect()),
                Err(error) => failed.push(vec![
                    id,
                    Xml::text("Code", &error.code),
                    Xml::text("Message", &error.message),
                    Xml::text("SenderFault", error.is_sender_fault().to_string()),
                ]),
            }
        }
        Ok(vec![Xml::list("Successful", successful), Xml::list("Failed", failed)])
    }

    fn publish_one(
        &mut self,
        now: Instant,
        topic_arn: &str,
        publication: Result<Publication, ServiceError>,
    ) -> Result<Receipt, ServiceError> {
        let mut publication = publication?;
        let message_id = self.ids.next();
        let topic = self.sns.topic(topic_arn)?;
        publication.check(topic.maximum_message_size())?;
        topic.admit(&mut publication.draft)?;
        if let Some(earlier) = topic.earlier(now, &publication.draft) {
            return Ok(earlier);
        }
        let receipt = topic.take(now, message_id, &publication.draft);
        self.deliver(now, topic_arn, &publication, &receipt);
        Ok(receipt)
    }
}

/// An ARN that can be a topic's (AWS: anything else is no valid parameter, and not a topic that is not there).
fn topic_arn(arn: &str) -> Result<&str, ServiceError> {
    let valid = arn.starts_with("arn:aws:sns:") && arn.split(':').count() == 6;
    if valid { Ok(arn) } else { Err(ServiceError::sns_invalid("TopicArn")) }
}

fn answer(receipt: Receipt) -> Vec<Xml> {
    let number = receipt.sequence_number.map(|number| Xml::text("SequenceNumber", number));
    [Xml::text("MessageId", receipt.message_id)].into_iter().chain(number).collect()
}
