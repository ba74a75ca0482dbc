//! One subscription: a queue, how it wants its copies, and which.

use std::collections::BTreeMap;

use super::filter::FilterPolicy;
use crate::emulator::account::ACCOUNT_ID;
use crate::emulator::error::ServiceError;
use crate::emulator::sqs::message::Attributes;

/// A queue's subscription to a topic.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) arn: String,
    pub(super) topic_arn: String,
    /// The queue's ARN.
    pub(super) endpoint: String,
    /// Whether it waits for the queue's owner to confirm it, and delivers nothing until then.
    pub(super) is_pending: bool,
    attributes: BTreeMap<String, String>,
    /// The filter that holds now: the one of the attributes, once it has taken effect.
    filter: Option<FilterPolicy>,
}

impl Subscription {
    /// A queue of another account's is subscribed once its owner confirms (AWS, "Sending Amazon SNS messages to an Amazon SQS queue in
    /// a different account"), which this emulator does not offer.
    pub(super) fn new(arn: String, topic_arn: &str, endpoint: &str) -> Self {
        let is_pending = endpoint.split(':').nth(4) != Some(ACCOUNT_ID);
        let (topic_arn, endpoint) = (topic_arn.to_owned(), endpoint.to_owned());
        Self { arn, topic_arn, endpoint, is_pending, attributes: BTreeMap::new(), filter: None }
    }

    /// Sets one attribute; a filter policy takes effect with [`apply_filter`](Self::apply_filter).
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), ServiceError> {
        check(name, value)?;
        if is_no_filter(name, value) {
            self.attributes.remove(name);
        } else {
            self.attributes.insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }

    /// Lets the filter policy of the attributes take effect.
    pub(super) fn apply_filter(&mut self) {
        let policy = self.attributes.get("FilterPolicy");
        self.filter = policy.and_then(|policy| FilterPolicy::parse(policy).ok());
    }

    /// What a list shows in the place of its ARN while it is not confirmed (AWS, `ListSubscriptionsByTopic`).
    pub(super) fn listed_arn(&self) -> &str {
        if self.is_pending { "PendingConfirmation" } else { &self.arn }
    }

    pub(super) fn accepts(&self, attributes: &Attributes) -> bool {
        !self.is_pending && self.filter.as_ref().is_none_or(|filter| filter.accepts(attributes))
    }

    pub(super) fn is_raw(&self) -> bool {
        self.attributes.get("RawMessageDelivery").is_some_and(|value| value == "true")
    }

    /// Whether it has a filter policy, in effect or not.
    pub(super) fn is_filtered(&self) -> bool {
        self.attributes.contains_key("FilterPolicy")
    }

    /// Whether `Subscribe` with these attributes finds this subscription: each has the value that it has here.
    pub(super) fn has(&self, attributes: &BTreeMap<String, String>) -> bool {
        let own = self.attributes();
        attributes.iter().all(|(name, value)| is_no_filter(name, value) || own.get(name) == Some(value))
    }

    /// What `GetSubscriptionAttributes` shows.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let mut attributes: BTreeMap<_, _> = [
            ("ConfirmationWasAuthenticated", "true"),
            ("Endpoint", &self.endpoint),
            ("Owner", ACCOUNT_ID),
            ("PendingConfirmation", if self.is_pending { "true" } else { "false" }),
            ("Protocol", "sqs"),
            ("RawMessageDelivery", "false"),
            ("SubscriptionArn", &self.arn),
            ("TopicArn", &self.topic_arn),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if self.is_filtered() {
            attributes.insert("FilterPolicyScope".to_owned(), "MessageAttributes".to_owned());
        }
        attributes.extend(self.attributes.clone());
        attributes
    }
}

/// Whether an attribute says that there is no filter: AWS's own console sends `{}` for that.
fn is_no_filter(name: &str, value: &str) -> bool {
    name == "FilterPolicy" && (value.is_empty() || value.trim() == "{}")
}

/// The attributes of queues' subscriptions (AWS, `SetSubscriptionAttributes`). Filters on the body are not here.
fn check(name: &str, value: &str) -> Result<(), ServiceError> {
    let valid = match name {
        "FilterPolicy" if is_no_filter(name, value) => true,
        "FilterPolicy" => {
            let parsed = FilterPolicy::parse(value).map(drop);
            return parsed.map_err(|why| ServiceError::sns_invalid(format_args!("FilterPolicy: {why}")));
        }
        "FilterPolicyScope" => value == "MessageAttributes",
        "RawMessageDelivery" => ["true", "false"].contains(&value),
        "RedrivePolicy" | "DeliveryPolicy" | "ReplayPolicy" => {
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
