//! What is published: read from a form, and held against AWS's rules.

use crate::emulator::error::ServiceError;
use crate::emulator::query::Form;
use crate::emulator::sqs::message::{Attribute, Attributes, Draft};
use crate::emulator::sqs::rules::message;

/// A message before it is delivered.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) draft: Draft,
    pub(super) subject: Option<String>,
}

impl Publication {
    /// Reads what `Publish` and an entry of `PublishBatch` have alike.
    pub(super) fn read(form: &Form) -> Result<Self, ServiceError> {
        let message_body = match form.get("MessageStructure") {
            Some("json") => for_queues(form.get("Message").unwrap_or_default())?,
            Some(_) => return Err(ServiceError::sns_invalid("MessageStructure")),
            None => form.get("Message").unwrap_or_default().to_owned(),
        };
        let draft = Draft {
            message_body,
            message_attributes: attributes(form),
            message_group_id: form.get("MessageGroupId").map(str::to_owned),
            message_deduplication_id: form.get("MessageDeduplicationId").map(str::to_owned),
            ..Draft::default()
        };
        Ok(Self { draft, subject: form.get("Subject").map(str::to_owned) })
    }

    /// AWS, `Publish`: the message is not empty, attributes are as those of SQS are, and all of it is no larger than
    /// the topic allows. There may be more than 10 attributes.
    pub(super) fn check(&self, maximum_size: usize) -> Result<(), ServiceError> {
        if self.draft.message_body.is_empty() {
            return Err(ServiceError::sns_invalid("Empty message"));
        }
        message::check_each_attribute(&self.draft.message_attributes).map_err(ServiceError::of_sns)?;
        self.subject.as_deref().map_or(Ok(()), check_subject)?;
        for id in [&self.draft.message_group_id, &self.draft.message_deduplication_id].into_iter().flatten() {
            check_id(id)?;
        }
        if self.draft.size() > maximum_size {
            return Err(ServiceError::sns_invalid("Message too long"));
        }
        Ok(())
    }
}

fn attributes(form: &Form) -> Attributes {
    let attribute = |entry: Form| {
        let text = |name| entry.get(name).map(str::to_owned);
        let attribute = Attribute {
            data_type: text("Value.DataType").unwrap_or_default(),
            string_value: text("Value.StringValue"),
            binary_value: text("Value.BinaryValue"),
        };
        (text("Name").unwrap_or_default(), attribute)
    };
    form.list("MessageAttributes.entry").into_iter().map(attribute).collect()
}

/// The text that queues get where each protocol has its own: `sqs`, or `default`, which there must be.
fn for_queues(message: &str) -> Result<String, ServiceError> {
    let texts: serde_json::Map<String, serde_json::Value> = serde_json::from_str(message)
        .map_err(|_| ServiceError::sns_invalid("Message Structure - JSON message body failed to parse"))?;
    let default = texts.get("default").and_then(|text| text.as_str());
    let Some(default) = default else {
        return Err(ServiceError::sns_invalid("Message Structure - No default entry in JSON message body"));
    };
    Ok(texts.get("sqs").and_then(|text| text.as_str()).unwrap_or(default).to_owned())
}

/// AWS, `Publish`: ASCII that begins with a letter, number or punctuation mark, without line breaks and control
/// characters, and less than 100 characters long.
fn check_subject(subject: &str) -> Result<(), ServiceError> {
    let valid = (1..=100).contains(&subject.len())
        && subject.starts_with(|c: char| c.is_ascii_graphic())
        && subject.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if valid { Ok(()) } else { Err(ServiceError::sns_invalid("Subject")) }
}

/// AWS, `Publish`: group and deduplication ids are up to 128 letters, digits and punctuation marks.
fn check_id(id: &str) -> Result<(), ServiceError> {
    let valid = (1..=128).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic());
    let message =
        "The MessageGroupId and MessageDeduplicationId have 1 to 128 letters, digits and punctuation marks";
    if valid { Ok(()) } else { Err(ServiceError::sns_invalid(message)) }
}
