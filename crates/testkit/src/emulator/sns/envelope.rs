//! The JSON that a queue gets where delivery is not raw.

use serde_json::Value;

use crate::emulator::account::REGION;
use crate::emulator::sqs::message::Attributes;

/// What the envelope tells.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub(super) message_id: &'a str,
    pub(super) sequence_number: Option<&'a str>,
    pub(super) topic_arn: &'a str,
    pub(super) subject: Option<&'a str>,
    pub(super) message: &'a str,
    /// RFC 3339, in UTC, with milliseconds.
    pub(super) timestamp: String,
    pub(super) signature_version: &'a str,
    pub(super) subscription_arn: &'a str,
    pub(super) attributes: &'a Attributes,
}

impl Envelope<'_> {
    /// Writes the fields in AWS's order and with AWS's spaces.
    ///
    /// AWS, "Fanout Amazon SNS notifications to Amazon SQS queues" and "Parsing Amazon SNS message formats". A FIFO
    /// topic's has a sequence number and no signature.
    pub(super) fn write(&self) -> String {
        let endpoint = format!("https://sns.{REGION}.amazonaws.com/");
        let is_signed = self.sequence_number.is_none();
        let signing = [
            ("SignatureVersion", self.signature_version.to_owned()),
            ("Signature", "EMULATED".to_owned()),
            ("SigningCertURL", format!("{endpoint}SimpleNotificationService-emulated.pem")),
        ];
        let unsubscribe = format!("{endpoint}?Action=Unsubscribe&SubscriptionArn={}", self.subscription_arn);
        let head = [
            ("Type", Some("Notification")),
            ("MessageId", Some(self.message_id)),
            ("SequenceNumber", self.sequence_number),
            ("TopicArn", Some(self.topic_arn)),
            ("Subject", self.subject),
            ("Message", Some(self.message)),
            ("Timestamp", Some(&self.timestamp)),
        ];
        let head = head.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let signing = signing.iter().filter(|_| is_signed).map(|(name, value)| (*name, value.as_str()));
        let tail = [("UnsubscribeURL", unsubscribe.as_str())];
        let fields: Vec<_> =
            head.chain(signing).chain(tail).map(|(name, value)| field(name, value)).collect();
        let mut text = format!("{{\n  {}", fields.join(",\n  "));
        if !self.attributes.is_empty() {
            text.push_str(&self.attributes());
        }
        text.push_str("\n}");
        text
    }

    fn attributes(&self) -> String {
        let lines: Vec<_> = self
            .attributes
            .iter()
            .map(|(name, attribute)| {
                let value = attribute.string_value.as_ref().or(attribute.binary_value.as_ref());
                let (kind, value) = (quoted(&attribute.data_type), quoted(value.map_or("", String::as_str)));
                format!("    {} : {{\"Type\":{kind},\"Value\":{value}}}", quoted(name))
            })
            .collect();
        format!(",\n  \"MessageAttributes\" : {{\n{}\n  }}", lines.join(",\n"))
    }
}

fn field(name: &str, value: &str) -> String {
    format!("{} : {}", quoted(name), quoted(value))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
