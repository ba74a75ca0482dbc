//! One topic: its attributes, and what a FIFO topic remembers.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::emulator::account::{ACCOUNT_ID, REGION};
use crate::emulator::error::ServiceError;
use crate::emulator::sqs::message::{Draft, hexadecimal};

/// How long a FIFO topic remembers a deduplication id (AWS, "Message deduplication for FIFO topics": five minutes).
const DEDUPLICATION: Duration = Duration::from_mins(5);
/// What a message may have unless the topic says more (AWS, "Publishing large messages": 256 KiB).
const DEFAULT_SIZE: usize = 262_144;
/// How many subscriptions a topic with a larger limit may have (AWS, "Publishing large messages").
const MOST_WITH_LARGE_MESSAGES: usize = 100;

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) subscriptions_deleted: usize,
    attributes: BTreeMap<String, String>,
    published: u64,
    deduplication: HashMap<String, (Instant, Receipt)>,
}

/// What a publication is answered with.
#[derive(Clone, Debug)]
pub(super) struct Receipt {
    pub(super) message_id: String,
    pub(super) sequence_number: Option<String>,
}

impl Topic {
    pub(super) fn new(
        name: &str,
        attributes: BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
    ) -> Result<Self, ServiceError> {
        check_name(name, &attributes)?;
        attributes.iter().try_for_each(|(name, value)| check_attribute(name, value))?;
        Ok(Self {
            name: name.to_owned(),
            arn: arn(name),
            tags,
            subscriptions_deleted: 0,
            attributes,
            published: 0,
            deduplication: HashMap::new(),
        })
    }

    /// Sets one attribute; whether a topic is FIFO stays as it was created.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), ServiceError> {
        if name == "FifoTopic" {
            return Err(ServiceError::sns_invalid("AttributeName"));
        }
        check_attribute(name, value)?;
        self.attributes.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// The attributes that were given, and those that a topic always has.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let mut attributes = BTreeMap::from([
            ("DisplayName".to_owned(), String::new()),
            ("Policy".to_owned(), default_policy(&self.arn)),
        ]);
        if self.is_fifo() {
            attributes.insert("ContentBasedDeduplication".to_owned(), "false".to_owned());
        }
        attributes.extend(self.attributes.clone());
        attributes
    }

    /// Whether `CreateTopic` with these attributes finds this topic: each has the value that the topic has.
    pub(super) fn has(&self, attributes: &BTreeMap<String, String>) -> bool {
        let own = self.attributes();
        attributes.iter().all(|(name, value)| own.get(name) == Some(value))
    }

    pub(super) fn is_fifo(&self) -> bool {
        self.is("FifoTopic", "true")
    }

    pub(super) fn maximum_message_size(&self) -> usize {
        self.attributes.get("MaximumMessageSize").and_then(|size| size.parse().ok()).unwrap_or(DEFAULT_SIZE)
    }

    pub(super) fn signature_version(&self) -> &str {
        self.attributes.get("SignatureVersion").map_or("1", String::as_str)
    }

    /// Whether it takes another subscription beside so many.
    pub(super) fn takes_another(&self, subscriptions: usize) -> bool {
        self.maximum_message_size() <= DEFAULT_SIZE || subscriptions < MOST_WITH_LARGE_MESSAGES
    }

    /// What a FIFO topic wants of a message, and the deduplication id that it goes by.
    pub(super) fn admit(&self, draft: &mut Draft) -> Result<(), ServiceError> {
        if !self.is_fifo() {
            if draft.message_deduplication_id.is_some() {
                return Err(ServiceError::sns_invalid(
                    "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is \
                     not valid for this topic type",
                ));
            }
            return Ok(());
        }
        if draft.message_group_id.is_none() {
            return Err(ServiceError::sns_invalid(
                "The MessageGroupId parameter is required for FIFO topics",
            ));
        }
        if draft.message_deduplication_id.is_none() {
            if !self.is("ContentBasedDeduplication", "true") {
                return Err(ServiceError::sns_invalid(
                    "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId \
                     provided explicitly",
                ));
            }
            draft.message_deduplication_id = Some(hexadecimal(&Sha256::digest(&draft.message_body)));
        }
        Ok(())
    }

    /// The receipt of the earlier message that this one repeats; AWS takes the repetition and delivers it to nobody.
    pub(super) fn earlier(&mut self, now: Instant, draft: &Draft) -> Option<Receipt> {
        self.deduplication.retain(|_, (until, _)| *until > now);
        self.deduplication.get(&self.deduplication_key(draft)?).map(|(_, receipt)| receipt.clone())
    }

    /// Numbers a message and remembers it.
    pub(super) fn take(&mut self, now: Instant, message_id: String, draft: &Draft) -> Receipt {
        self.published += 1;
        let sequence_number = self.is_fifo().then(|| format!("1{:016}000", self.published));
        let receipt = Receipt { message_id, sequence_number };
        if let Some(key) = self.deduplication_key(draft) {
            self.deduplication.insert(key, (now + DEDUPLICATION, receipt.clone()));
        }
        receipt
    }

    /// Ids are the topic's, or each message group's with `FifoThroughputScope` so.
    fn deduplication_key(&self, draft: &Draft) -> Option<String> {
        let id = draft.message_deduplication_id.as_deref().filter(|_| self.is_fifo())?;
        let group =
            draft.message_group_id.as_deref().filter(|_| self.is("FifoThroughputScope", "MessageGroup"));
        Some(format!("{}\n{id}", group.unwrap_or_default()))
    }

    fn is(&self, name: &str, expected: &str) -> bool {
        self.attributes.get(name).is_some_and(|value| value == expected)
    }
}

/// The ARN of the topic of that name.
pub(in super::super) fn arn(name: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT_ID}:{name}")
}

/// 1 to 256 letters, digits, `-` and `_`, and `.fifo` if, and only if, the topic is FIFO (AWS, `CreateTopic`).
fn check_name(name: &str, attributes: &BTreeMap<String, String>) -> Result<(), ServiceError> {
    let wants_fifo = attributes.get("FifoTopic").is_some_and(|value| value == "true");
    let stem = name.strip_suffix(".fifo").filter(|_| wants_fifo);
    if wants_fifo && stem.is_none() {
        return Err(ServiceError::sns_invalid(
            "Topic Name Reason: Fifo Topic names must end with .fifo and must be made up of only uppercase and \
             lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long.",
        ));
    }
    let plain = stem.unwrap_or(name);
    let valid = !plain.is_empty()
        && name.len() <= 256
        && plain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if valid { Ok(()) } else { Err(ServiceError::sns_invalid("Topic Name")) }
}

/// The attributes that there are (AWS, `SetTopicAttributes`), but for those of other protocols than SQS's.
fn check_attribute(name: &str, value: &str) -> Result<(), ServiceError> {
    let valid = match name {
        "DisplayName" => value.len() <= 100,
        "KmsMasterKeyId" => true,
        "FifoTopic" | "ContentBasedDeduplication" => ["true", "false"].contains(&value),
        "FifoThroughputScope" => ["Topic", "MessageGroup"].contains(&value),
        "SignatureVersion" => ["1", "2"].contains(&value),
        "TracingConfig" => ["PassThrough", "Active"].contains(&value),
        "MaximumMessageSize" => value.parse().is_ok_and(|size: u32| (1024..=1_048_576).contains(&size)),
        "Policy" | "DeliveryPolicy" | "ArchivePolicy" => {
            serde_json::from_str::<serde_json::Map<_, _>>(value).is_ok()
        }
        _ => return Err(ServiceError::sns_invalid("AttributeName")),
    };
    if valid {
        Ok(())
    } else {
        Err(ServiceError::sns_invalid(format_args!("{name} Reason: value is not valid")))
    }
}

/// The policy of a topic that was given none: everything to its owner (AWS, `GetTopicAttributes`).
fn default_policy(arn: &str) -> String {
    let actions = [
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
        "ListSubscriptionsByTopic",
        "Publish",
    ];
    serde_json::json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": actions.map(|action| format!("SNS:{action}")),
            "Resource": arn,
            "Condition": { "StringEquals": { "AWS:SourceOwner": ACCOUNT_ID } },
        }],
    })
    .to_string()
}
