//! SNS: topics, subscriptions of queues to them, and the way of a published message into those queues.

mod delivery;
mod envelope;
mod filter;
mod publication;
mod publish;
mod subscription;
mod subscriptions;
mod topic;
mod topics;

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::account::Account;
use super::error::ServiceError;
use super::query::{Form, Xml};
use subscription::Subscription;
use topic::Topic;
pub(super) use topic::arn as topic_arn;

/// How many topics or subscriptions a page lists (AWS, `ListTopics`, `ListSubscriptionsByTopic`: 100).
const PAGE: usize = 100;

/// The topics and subscriptions of the account, by their ARNs.
#[derive(Debug, Default)]
pub(super) struct Sns {
    topics: BTreeMap<String, Topic>,
    subscriptions: BTreeMap<String, Subscription>,
    /// Whether filter policies wait before they take effect.
    filters_are_held: bool,
}

impl Sns {
    fn topic(&mut self, arn: &str) -> Result<&mut Topic, ServiceError> {
        self.topics.get_mut(arn).ok_or_else(|| ServiceError::sns_not_found("Topic"))
    }

    fn subscription(&mut self, arn: &str) -> Result<&mut Subscription, ServiceError> {
        self.subscriptions.get_mut(arn).ok_or_else(|| ServiceError::sns_not_found("Subscription"))
    }

    fn of_topic(&self, arn: &str) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values().filter(move |subscription| subscription.topic_arn == arn)
    }

    /// Lets filter policies that are set from now on wait for their release.
    pub(super) fn hold_filters(&mut self) {
        self.filters_are_held = true;
    }

    /// Lets every filter policy take effect, now and from now on.
    pub(super) fn release_filters(&mut self) {
        self.filters_are_held = false;
        self.subscriptions.values_mut().for_each(Subscription::apply_filter);
    }
}

impl Account {
    /// Does what the action's name says.
    pub(super) fn perform_sns(&self, action: &str, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let now = Instant::now();
        let mut state = self.state();
        match action {
            "CreateTopic" => state.create_topic(form),
            "DeleteTopic" => state.delete_topic(form),
            "GetTopicAttributes" => state.get_topic_attributes(form),
            "SetTopicAttributes" => state.set_topic_attributes(form),
            "ListTopics" => Ok(state.list_topics(form)),
            "TagResource" => state.tag_topic(form),
            "UntagResource" => state.untag_topic(form),
            "ListTagsForResource" => state.list_topic_tags(form),
            "Subscribe" => Ok(vec![Xml::text("SubscriptionArn", state.subscribe(form)?)]),
            "Unsubscribe" => state.unsubscribe(form),
            "GetSubscriptionAttributes" => state.get_subscription_attributes(form),
            "SetSubscriptionAttributes" => state.set_subscription_attributes(form),
            "ListSubscriptions" => Ok(state.list_subscriptions(form)),
            "ListSubscriptionsByTopic" => state.list_subscriptions_by_topic(form),
            "Publish" => state.publish(now, form),
            "PublishBatch" => state.publish_batch(now, form),
            _ => Err(ServiceError::unknown_action(action)),
        }
    }
}

/// One page of what has an ARN, and where the next one begins; the token is the last ARN of the page before.
fn page<T>(items: impl Iterator<Item = (String, T)>, form: &Form) -> (Vec<T>, Option<Xml>) {
    let after = form.get("NextToken").unwrap_or_default();
    let mut rest = items.filter(|(arn, _)| arn.as_str() > after);
    let (arns, items): (Vec<_>, Vec<_>) = rest.by_ref().take(PAGE).unzip();
    let next = rest.next().and_then(|_| arns.into_iter().last());
    (items, next.map(|arn| Xml::text("NextToken", arn)))
}
