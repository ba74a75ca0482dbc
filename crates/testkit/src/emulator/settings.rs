//! A queue's attributes: their names, ranges and defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::error::ServiceError;
use super::queue::seconds;

/// The attributes that are whole numbers: name, least, most, default (AWS, `CreateQueue`).
const NUMBERS: [(&str, i64, i64, i64); 6] = [
    ("DelaySeconds", 0, 900, 0),
    ("KmsDataKeyReusePeriodSeconds", 60, 86_400, 300),
    ("MaximumMessageSize", 1024, 1_048_576, 1_048_576),
    ("MessageRetentionPeriod", 60, 1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, 0),
    ("VisibilityTimeout", 0, 43_200, 30),
];
/// The attributes that are text and taken as they come.
const TEXTS: [&str; 9] = [
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsMasterKeyId",
    "Policy",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
];
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
pub(super) struct Settings {
    given: BTreeMap<String, String>,
}

/// When a message that is received in vain goes to another queue.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RedrivePolicy {
    pub(super) dead_letter_target_arn: String,
    /// AWS takes it as a number and as text.
    #[serde(deserialize_with = "number_or_text")]
    pub(super) max_receive_count: u64,
}

impl Settings {
    /// Settings as `CreateQueue` and `SetQueueAttributes` bring them; an empty value removes one.
    pub(super) fn change(&mut self, changes: &BTreeMap<String, String>) -> Result<(), ServiceError> {
        for (name, value) in changes {
            check(name, value)?;
        }
        self.given.extend(changes.clone());
        self.given.retain(|_, value| !value.is_empty());
        Ok(())
    }

    /// The first attribute of `wanted` that these settings have with another value.
    pub(super) fn difference<'a>(&self, wanted: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let all = self.all();
        wanted.iter().find(|(name, value)| all.get(*name) != Some(value)).map(|(name, _)| name.as_str())
    }

    /// Every settable attribute that has a value.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<_, _> = NUMBERS
            .iter()
            .filter(|(name, ..)| *name != "KmsDataKeyReusePeriodSeconds")
            .map(|(name, _, _, default)| ((*name).to_owned(), default.to_string()))
            .collect();
        all.insert("SqsManagedSseEnabled".into(), "true".into());
        all.extend(self.given.clone());
        all
    }

    pub(super) fn maximum_message_size(&self) -> usize {
        usize::try_from(self.number("MaximumMessageSize")).unwrap_or(usize::MAX)
    }

    pub(super) fn delay(&self) -> Duration {
        seconds(self.number("DelaySeconds"))
    }

    pub(super) fn retention(&self) -> Duration {
        seconds(self.number("MessageRetentionPeriod"))
    }

    pub(super) fn wait_seconds(&self) -> i64 {
        self.number("ReceiveMessageWaitTimeSeconds")
    }

    pub(super) fn visibility_seconds(&self) -> i64 {
        self.number("VisibilityTimeout")
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.given.get("FifoQueue").is_some_and(|value| value == "true")
    }

    pub(super) fn is_content_deduplicated(&self) -> bool {
        self.given.get("ContentBasedDeduplication").is_some_and(|value| value == "true")
    }

    pub(super) fn redrive(&self) -> Option<RedrivePolicy> {
        serde_json::from_str(self.given.get("RedrivePolicy")?).ok()
    }

    /// The access policy, none if none was set.
    pub(super) fn policy(&self) -> Option<&str> {
        self.given.get("Policy").map(String::as_str)
    }

    /// Whether messages are encrypted with SQS's own key, whose policy nobody can change to let SNS use it.
    pub(super) fn has_managed_key(&self) -> bool {
        self.given.get("KmsMasterKeyId").is_some_and(|key| key == "alias/aws/sqs")
    }

    fn number(&self, name: &str) -> i64 {
        let default = NUMBERS.iter().find(|number| number.0 == name).map_or(0, |number| number.3);
        self.given.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }
}

/// Refuses a name that `GetQueueAttributes` does not know.
pub(super) fn check_requested(name: &str) -> Result<(), ServiceError> {
    let known = name == "All"
        || NUMBERS.iter().any(|number| number.0 == name)
        || TEXTS.contains(&name)
        || COMPUTED.contains(&name);
    if known { Ok(()) } else { Err(unknown(name)) }
}

fn check(name: &str, value: &str) -> Result<(), ServiceError> {
    let valid = match NUMBERS.iter().find(|number| number.0 == name) {
        Some((_, least, most, _)) => value.parse().is_ok_and(|value: i64| (*least..=*most).contains(&value)),
        None if name == "RedrivePolicy" => {
            value.is_empty() || serde_json::from_str::<RedrivePolicy>(value).is_ok()
        }
        None if TEXTS.contains(&name) => true,
        None => return Err(unknown(name)),
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
