//! The actions on subscriptions.

use super::page;
use super::subscription::Subscription;
use crate::emulator::account::{ACCOUNT_ID, State};
use crate::emulator::error::ServiceError;
use crate::emulator::query::{Form, Xml};

/// How many filter policies a topic takes (AWS, "Amazon SNS endpoints and quotas": 200 a topic).
const MOST_FILTERS: usize = 200;

impl State {
    /// Subscribes a queue, or finds its subscription if the attributes are the same; the subscription's ARN.
    ///
    /// The queue need not exist. Within one account a subscription needs no confirmation; where it needs one, its ARN is told at once
    /// only if `ReturnSubscriptionArn` says so (AWS, `Subscribe`).
    pub(in super::super) fn subscribe(&mut self, form: &Form) -> Result<String, ServiceError> {
        let topic_arn = form.required("TopicArn")?;
        let endpoint = form.get("Endpoint").unwrap_or_default();
        let attributes = form.map("Attributes.entry", "key", "value");
        if form.required("Protocol")? != "sqs" {
            return Err(ServiceError::sns_invalid("Protocol Reason: this emulator delivers to SQS alone"));
        }
        if !endpoint.starts_with("arn:aws:sqs:") || endpoint.split(':').count() != 6 {
            return Err(ServiceError::sns_invalid("SQS endpoint ARN"));
        }
        let topic = self.sns.topic(topic_arn)?;
        if endpoint.strip_suffix(".fifo").is_some() && !topic.is_fifo() {
            return Err(ServiceError::sns_invalid(
                "Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
            ));
        }
        if let Some(same) =
            self.sns.of_topic(topic_arn).find(|subscription| subscription.endpoint == endpoint)
        {
            if same.has(&attributes) {
                return Ok(same.arn.clone());
            }
            return Err(ServiceError::sns_invalid(
                "Attributes Reason: Subscription already exists with different attributes",
            ));
        }
        let subscriptions = self.sns.of_topic(topic_arn).count();
        if !self.sns.topic(topic_arn)?.takes_another(subscriptions) {
            return Err(ServiceError::sns_invalid(
                "MaximumMessageSize Reason: a topic with a limit above 256 KiB has 100 subscriptions at most",
            ));
        }
        let arn = format!("{topic_arn}:{}", self.ids.next());
        let mut subscription = Subscription::new(arn.clone(), topic_arn, endpoint);
        for (name, value) in &attributes {
            subscription.set(name, value)?;
        }
        if subscription.is_filtered() {
            self.check_filters(topic_arn)?;
        }
        if !self.sns.filters_are_held {
            subscription.apply_filter();
        }
        let is_told = !subscription.is_pending || form.get("ReturnSubscriptionArn") == Some("true");
        self.sns.subscriptions.insert(arn.clone(), subscription);
        Ok(if is_told { arn } else { "pending confirmation".to_owned() })
    }

    /// Ends a subscription; one that is gone already is no error.
    pub(super) fn unsubscribe(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        if let Some(subscription) = self.sns.subscriptions.remove(subscription_arn(form)?)
            && let Some(topic) = self.sns.topics.get_mut(&subscription.topic_arn)
        {
            topic.subscriptions_deleted += 1;
        }
        Ok(Vec::new())
    }

    pub(super) fn get_subscription_attributes(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let subscription = self.sns.subscription(subscription_arn(form)?)?;
        Ok(vec![Xml::map("Attributes", subscription.attributes())])
    }

    pub(super) fn set_subscription_attributes(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let arn = subscription_arn(form)?;
        let (name, value) = (form.required("AttributeName")?, form.get("AttributeValue").unwrap_or_default());
        let held = self.sns.filters_are_held;
        let subscription = self.sns.subscription(arn)?;
        if name == "FilterPolicy" && !subscription.is_filtered() {
            let topic_arn = subscription.topic_arn.clone();
            self.check_filters(&topic_arn)?;
        }
        let subscription = self.sns.subscription(arn)?;
        subscription.set(name, value)?;
        if !held {
            subscription.apply_filter();
        }
        Ok(Vec::new())
    }

    pub(super) fn list_subscriptions(&self, form: &Form) -> Vec<Xml> {
        listed(self.sns.subscriptions.values(), form)
    }

    pub(super) fn list_subscriptions_by_topic(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let topic_arn = form.required("TopicArn")?;
        self.sns.topic(topic_arn)?;
        Ok(listed(self.sns.of_topic(topic_arn), form))
    }

    /// Whether the topic takes another filter policy.
    fn check_filters(&self, topic_arn: &str) -> Result<(), ServiceError> {
        let filters = self.sns.of_topic(topic_arn).filter(|subscription| subscription.is_filtered()).count();
        if filters < MOST_FILTERS {
            return Ok(());
        }
        let message =
            format!("Topic {topic_arn} has {MOST_FILTERS} filter policies, the most that it can have");
        Err(ServiceError::new("FilterPolicyLimitExceeded", 403, message))
    }
}

/// The ARN of a subscription: the topic's and an id (AWS: anything else is no valid parameter).
fn subscription_arn(form: &Form) -> Result<&str, ServiceError> {
    let arn = form.required("SubscriptionArn")?;
    let valid = arn.starts_with("arn:aws:sns:") && arn.split(':').count() == 7;
    let invalid = "SubscriptionArn Reason: An ARN must have at least 6 elements, not 1";
    if valid { Ok(arn) } else { Err(ServiceError::sns_invalid(invalid)) }
}

fn listed<'a>(subscriptions: impl Iterator<Item = &'a Subscription>, form: &Form) -> Vec<Xml> {
    let member = |subscription: &Subscription| {
        [
            ("SubscriptionArn", subscription.listed_arn()),
            ("Owner", ACCOUNT_ID),
            ("Protocol", "sqs"),
            ("Endpoint", &subscription.endpoint),
            ("TopicArn", &subscription.topic_arn),
        ]
        .map(|(name, value)| Xml::text(name, value))
        .into()
    };
    let members = subscriptions.map(|subscription| (subscription.arn.clone(), member(subscription)));
    let (members, next) = page(members, form);
    [Xml::list("Subscriptions", members)].into_iter().chain(next).collect()
}
