//! A message: what is sent, what is stored, and what a receive gives out.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

/// A message attribute as the JSON protocol has it; binary values stay in base64.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::emulator) struct Attribute {
    pub(in crate::emulator) data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) string_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::emulator) binary_value: Option<String>,
}

/// Message attributes by name, in the order that their checksum wants.
pub(in crate::emulator) type Attributes = BTreeMap<String, Attribute>;

/// A message as `SendMessage` and an entry of `SendMessageBatch` bring it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::emulator) struct Draft {
    #[serde(default)]
    pub(in crate::emulator) message_body: String,
    #[serde(default)]
    pub(in crate::emulator) message_attributes: Attributes,
    #[serde(default)]
    pub(in crate::emulator) message_system_attributes: Attributes,
    pub(in crate::emulator) delay_seconds: Option<i64>,
    pub(in crate::emulator) message_group_id: Option<String>,
    pub(in crate::emulator) message_deduplication_id: Option<String>,
}

impl Draft {
    /// The bytes that count against the size limits: the body, and each attribute's name, type and value.
    ///
    /// AWS, "Amazon SQS message quotas": attributes are part of the message size.
    pub(in crate::emulator) fn size(&self) -> usize {
        let attributes = self.message_attributes.iter().map(|(name, attribute)| {
            let binary = attribute.binary_value.as_deref().map_or(0, |value| decode(value).len());
            name.len()
                + attribute.data_type.len()
                + attribute.string_value.as_ref().map_or(0, String::len)
                + binary
        });
        self.message_body.len() + attributes.sum::<usize>()
    }
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub(in crate::emulator) struct Stored {
    pub(in crate::emulator) id: String,
    pub(in crate::emulator) draft: Draft,
    pub(in crate::emulator) sequence_number: Option<String>,
    pub(in crate::emulator) sent: Instant,
    pub(in crate::emulator) sent_millis: u128,
    pub(in crate::emulator) first_received_millis: Option<u128>,
    pub(in crate::emulator) receive_count: u64,
    pub(in crate::emulator) dead_letter_source: Option<String>,
}

/// Which attributes a receive asks for.
#[derive(Clone, Debug, Default)]
pub(in crate::emulator) struct Wanted {
    /// Names of message attributes; `All`, `.*` and `prefix.*` match many.
    pub(in crate::emulator) message: Vec<String>,
    /// Names of system attributes, or `All`.
    pub(in crate::emulator) system: Vec<String>,
}

impl Stored {
    /// The message as `ReceiveMessage` gives it out.
    pub(in crate::emulator) fn to_json(&self, receipt_handle: &str, wanted: &Wanted) -> Value {
        let mut message = json!({
            "MessageId": self.id,
            "ReceiptHandle": receipt_handle,
            "MD5OfBody": hexadecimal(&Md5::digest(&self.draft.message_body)),
            "Body": self.draft.message_body,
        });
        let system = self.system_attributes(&wanted.system);
        if !system.is_empty() {
            message["Attributes"] = Value::Object(system);
        }
        let mut attributes = self.draft.message_attributes.clone();
        attributes.retain(|name, _| wanted.message.iter().any(|pattern| matches(pattern, name)));
        if let Some(checksum) = checksum_of_attributes(&attributes) {
            message["MD5OfMessageAttributes"] = checksum.into();
            message["MessageAttributes"] = json!(attributes);
        }
        message
    }

    fn system_attributes(&self, wanted: &[String]) -> Map<String, Value> {
        let trace = self.draft.message_system_attributes.get("AWSTraceHeader");
        let all = [
            ("SenderId", Some("AIDAEMULATOR".to_owned())),
            ("SentTimestamp", Some(self.sent_millis.to_string())),
            ("ApproximateReceiveCount", Some(self.receive_count.to_string())),
            ("ApproximateFirstReceiveTimestamp", self.first_received_millis.map(|at| at.to_string())),
            ("SequenceNumber", self.sequence_number.clone()),
            ("MessageGroupId", self.draft.message_group_id.clone()),
            ("MessageDeduplicationId", self.draft.message_deduplication_id.clone()),
            ("AWSTraceHeader", trace.and_then(|attribute| attribute.string_value.clone())),
            ("DeadLetterQueueSourceArn", self.dead_letter_source.clone()),
        ];
        all.into_iter()
            .filter(|(name, _)| wanted.iter().any(|pattern| pattern == "All" || pattern == name))
            .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))))
            .collect()
    }
}

/// The checksum that sends and receives carry over message attributes, none without attributes.
///
/// AWS, "Calculating the MD5 message digest for message attributes".
pub(in crate::emulator) fn checksum_of_attributes(attributes: &Attributes) -> Option<String> {
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        let (kind, value) = match (&attribute.string_value, &attribute.binary_value) {
            (Some(text), _) => (1, text.clone().into_bytes()),
            (None, binary) => (2, decode(binary.as_deref().unwrap_or_default())),
        };
        for part in [name.as_bytes(), attribute.data_type.as_bytes()] {
            digest.update(length(part));
            digest.update(part);
        }
        digest.update([kind]);
        digest.update(length(&value));
        digest.update(value);
    }
    (!attributes.is_empty()).then(|| hexadecimal(&digest.finalize()))
}

/// The checksum that sends and receives carry over the body.
pub(in crate::emulator) fn checksum_of_body(body: &str) -> String {
    hexadecimal(&Md5::digest(body))
}

/// Lower-case hexadecimal digits.
pub(in crate::emulator) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xF] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
        text
    })
}

/// Unix milliseconds, the unit of SQS's timestamps.
pub(in crate::emulator) fn unix_millis() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

/// Binary values are base64 on the wire; what is not counts as it stands.
fn decode(value: &str) -> Vec<u8> {
    STANDARD.decode(value).unwrap_or_else(|_| value.as_bytes().to_vec())
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// `All` and `.*` match every name, `prefix.*` those that begin with `prefix` (AWS, `ReceiveMessage`).
fn matches(pattern: &str, name: &str) -> bool {
    pattern == "All"
        || pattern == name
        || pattern.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_aws() {
        assert_eq!(checksum_of_body("hello"), "5d41402abc4b2a76b9719d911017c592");
        let attribute = Attribute {
            data_type: "Number".into(),
            string_value: Some("1493147359900".into()),
            binary_value: None,
        };
        let attributes = Attributes::from([("timestamp".to_owned(), attribute)]);
        assert_eq!(checksum_of_attributes(&attributes).unwrap(), "235c5c510d26fb653d073faed50ae77c");
        assert_eq!(checksum_of_attributes(&Attributes::new()), None);
    }

    #[test]
    fn names_are_matched_by_prefix() {
        for (pattern, name, expected) in [
            ("All", "a", true),
            (".*", "a", true),
            ("foo.*", "foo.a", true),
            ("foo.*", "foobar", true),
            ("foo.*", "fo", false),
            ("foo", "foo", true),
            ("foo", "foobar", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
