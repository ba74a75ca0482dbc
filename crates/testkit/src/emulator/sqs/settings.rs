//! A queue's attributes: their names, ranges and defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::queue::seconds;
use crate::emulator::error::ServiceError;

/// The attributes that are whole numbers: name, least, most, default (AWS, `CreateQueue`).
const NUMBERS: [(&str, i64, i64, i64); 6] = [
    ("DelaySeconds", 0, 900, 0),
    ("KmsDataKeyReusePeriodSeconds", 60, 86_400, 300),
    ("MaximumMessageSize", 1024, 1_048_576, 1_048_576),
    ("MessageRetentionPeriod", 60, 1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, 0),
    ("VisibilityTimeout", 0, 43_200, 30),
];
/// The attributes that are one of a few words, and those words.
const WORDS: [(&str, [&str; 2]); 5] = [
    ("ContentBasedDeduplication", ["false", "true"]),
    ("DeduplicationScope", ["queue", "messageGroup"]),
    ("FifoQueue", ["false", "true"]),
    ("FifoThroughputLimit", ["perQueue", "perMessageGroupId"]),
    ("SqsManagedSseEnabled", ["false", "true"]),
];
/// The attributes that FIFO queues alone have; each is by default the first of its words.
const FIFO: [&str; 3] = ["ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"];
/// The attributes that are JSON objects.
const DOCUMENTS: [&str; 2] = ["Policy", "RedriveAllowPolicy"];
/// The most that `maxReceiveCount` may be (AWS, "Amazon SQS dead-letter queues").
const MOST_RECEIVES: u64 = 1000;
/// The attributes that are computed: a request may ask for them, not set them.
const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// A queue's settable attributes, as given or by default.
#[derive(Clone, Debug, Default)]
pub(in crate::emulator) struct Settings {
    given: BTreeMap<String, String>,
}

/// When a message that is received in vain goes to another queue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::emulator) struct RedrivePolicy {
    dead_letter_target_arn: String,
    /// AWS takes it as a number and as text.
    #[serde(deserialize_with = "number_or_text")]
    pub(in crate::emulator) max_receive_count: u64,
}

impl RedrivePolicy {
    /// Reads the attribute's value, none if it is not valid.
    pub(in crate::emulator) fn parse(value: &str) -> Option<Self> {
        let policy: Self = serde_json::from_str(value).ok()?;
        (1..=MOST_RECEIVES).contains(&policy.max_receive_count).then_some(policy)
    }

    /// The name of the dead-letter queue.
    pub(in crate::emulator) fn target(&self) -> &str {
        self.dead_letter_target_arn.rsplit(':').next().unwrap_or_default()
    }
}

impl Settings {
    /// Settings as `CreateQueue` and `SetQueueAttributes` bring them; an empty value removes one.
    pub(in crate::emulator) fn change(
        &mut self,
        changes: &BTreeMap<String, String>,
    ) -> Result<(), ServiceError> {
        let is_fifo = self.is_fifo() || changes.get("FifoQueue").is_some_and(|value| value == "true");
        for (name, value) in changes {
            check(name, value)?;
            if FIFO.contains(&name.as_str()) && !is_fifo {
                return Err(unknown(name));
            }
        }
        self.given.extend(changes.clone());
        self.given.retain(|_, value| !value.is_empty());
        Ok(())
    }

    /// The first attribute of `wanted` that these settings have with another value.
    pub(in crate::emulator) fn difference<'a>(
        &self,
        wanted: &'a BTreeMap<String, String>,
    ) -> Option<&'a str> {
        let all = self.all();
        wanted.iter().find(|(name, value)| all.get(*name) != Some(value)).map(|(name, _)| name.as_str())
    }

    /// Every settable attribute that has a value.
    pub(in crate::emulator) fn all(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<_, _> = NUMBERS
            .iter()
            .filter(|(name, ..)| *name != "KmsDataKeyReusePeriodSeconds")
            .map(|(name, _, _, default)| ((*name).to_owned(), default.to_string()))
            .collect();
        // One kind of encryption excludes the other (AWS, "Encryption at rest in Amazon SQS").
        let is_managed = !self.given.contains_key("KmsMasterKeyId");
        all.insert("SqsManagedSseEnabled".into(), is_managed.to_string());
        let of_fifo = WORDS.iter().filter(|(name, _)| self.is_fifo() && FIFO.contains(name));
        all.extend(of_fifo.map(|(name, [default, _])| ((*name).to_owned(), (*default).to_owned())));
        all.extend(self.given.clone());
        all
    }

    pub(in crate::emulator) fn maximum_message_size(&self) -> usize {
        usize::try_from(self.number("MaximumMessageSize")).unwrap_or(usize::MAX)
    }

    pub(in crate::emulator) fn delay(&self) -> Duration {
        seconds(self.number("DelaySeconds"))
    }

    pub(in crate::emulator) fn retention(&self) -> Duration {
        seconds(self.number("MessageRetentionPeriod"))
    }

    pub(in crate::emulator) fn wait_seconds(&self) -> i64 {
        self.number("ReceiveMessageWaitTimeSeconds")
    }

    pub(in crate::emulator) fn visibility_seconds(&self) -> i64 {
        self.number("VisibilityTimeout")
    }

    pub(in crate::emulator) fn is_fifo(&self) -> bool {
        self.given.get("FifoQueue").is_some_and(|value| value == "true")
    }

    pub(in crate::emulator) fn is_content_deduplicated(&self) -> bool {
        self.given.get("ContentBasedDeduplication").is_some_and(|value| value == "true")
    }

    /// Whether a deduplication id counts within its message group alone.
    pub(in crate::emulator) fn deduplicates_by_group(&self) -> bool {
        self.given.get("DeduplicationScope").is_some_and(|value| value == "messageGroup")
    }

    pub(in crate::emulator) fn redrive(&self) -> Option<RedrivePolicy> {
        RedrivePolicy::parse(self.given.get("RedrivePolicy")?)
    }

    /// The access policy, none if none was set.
    pub(in crate::emulator) fn policy(&self) -> Option<&str> {
        self.given.get("Policy").map(String::as_str)
    }

    /// Whether messages are encrypted with SQS's own key, whose policy nobody can change to let SNS use it.
    pub(in crate::emulator) fn has_managed_key(&self) -> bool {
        self.given.get("KmsMasterKeyId").is_some_and(|key| key == "alias/aws/sqs")
    }

    fn number(&self, name: &str) -> i64 {
        let default = NUMBERS.iter().find(|number| number.0 == name).map_or(0, |number| number.3);
        self.given.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }
}

/// Refuses a name that `GetQueueAttributes` does not know.
pub(in crate::emulator) fn check_requested(name: &str) -> Result<(), ServiceError> {
    let known = ["All", "KmsMasterKeyId", "RedrivePolicy"].contains(&name)
        || NUMBERS.iter().any(|number| number.0 == name)
        || WORDS.iter().any(|words| words.0 == name)
        || DOCUMENTS.contains(&name)
        || COMPUTED.contains(&name);
    if known { Ok(()) } else { Err(unknown(name)) }
}

/// Checks a value by itself; an empty text or document is how an attribute is removed.
fn check(name: &str, value: &str) -> Result<(), ServiceError> {
    let number = NUMBERS.iter().find(|number| number.0 == name);
    let words = WORDS.iter().find(|words| words.0 == name);
    let valid = match (name, number, words) {
        (_, Some((_, least, most, _)), _) => {
            value.parse().is_ok_and(|value: i64| (*least..=*most).contains(&value))
        }
        (_, _, Some((_, words))) => words.contains(&value),
        ("KmsMasterKeyId", ..) => true,
        ("RedrivePolicy", ..) => value.is_empty() || RedrivePolicy::parse(value).is_some(),
        _ if DOCUMENTS.contains(&name) => {
            value.is_empty() || serde_json::from_str::<serde_json::Map<_, _>>(value).is_ok()
        }
        _ => return Err(unknown(name)),
    };
    let message = format!("Invalid value for the parameter {name}.");
    if valid { Ok(()) } else { Err(ServiceError::new("InvalidAttributeValue", 400, message)) }
}

fn unknown(name: &str) -> ServiceError {
    ServiceError::new("InvalidAttributeName", 400, format!("Unknown Attribute {name}."))
}

fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| serde::de::Error::custom("maxReceiveCount is no number"))
}
