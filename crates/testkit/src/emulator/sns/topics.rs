//! The actions on topics: create, delete, attributes, lists, tags.

use super::page;
use super::topic::{Topic, arn};
use crate::emulator::account::{ACCOUNT_ID, State};
use crate::emulator::error::ServiceError;
use crate::emulator::query::{Form, Xml};

impl State {
    /// Creates a topic, or finds the one of that name if its attributes and tags are the same.
    pub(super) fn create_topic(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let name = form.required("Name")?;
        let attributes = form.map("Attributes.entry", "key", "value");
        let tags = form.map("Tags.member", "Key", "Value");
        let arn = arn(name);
        if let Some(topic) = self.sns.topics.get(&arn) {
            let differs = if !topic.has(&attributes) {
                Some("Attributes Reason: Topic already exists with different attributes")
            } else if !tags.is_empty() && topic.tags != tags {
                Some("Tags Reason: Topic already exists with different tags")
            } else {
                None
            };
            if let Some(differs) = differs {
                return Err(ServiceError::sns_invalid(differs));
            }
        } else {
            self.sns.topics.insert(arn.clone(), Topic::new(name, attributes, tags)?);
        }
        Ok(vec![Xml::text("TopicArn", arn)])
    }

    /// Deletes a topic and its subscriptions; none of that name is no error (AWS, `DeleteTopic`).
    pub(super) fn delete_topic(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let arn = form.required("TopicArn")?;
        self.sns.topics.remove(arn);
        self.sns.subscriptions.retain(|_, subscription| subscription.topic_arn != arn);
        Ok(Vec::new())
    }

    pub(super) fn get_topic_attributes(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let topic_arn = form.required("TopicArn")?;
        let all = self.sns.of_topic(topic_arn).count();
        let pending = self.sns.of_topic(topic_arn).filter(|subscription| subscription.is_pending).count();
        let topic = self.sns.topic(topic_arn)?;
        let mut attributes = topic.attributes();
        attributes.extend(
            [
                ("TopicArn", topic_arn.to_owned()),
                ("Owner", ACCOUNT_ID.to_owned()),
                ("SubscriptionsConfirmed", (all - pending).to_string()),
                ("SubscriptionsPending", pending.to_string()),
                ("SubscriptionsDeleted", topic.subscriptions_deleted.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        Ok(vec![Xml::map("Attributes", attributes)])
    }

    pub(super) fn set_topic_attributes(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let topic = self.sns.topic(form.required("TopicArn")?)?;
        topic.set(form.required("AttributeName")?, form.get("AttributeValue").unwrap_or_default())?;
        Ok(Vec::new())
    }

    pub(super) fn list_topics(&self, form: &Form) -> Vec<Xml> {
        let topics = self.sns.topics.keys().map(|arn| (arn.clone(), vec![Xml::text("TopicArn", arn)]));
        let (topics, next) = page(topics, form);
        [Xml::list("Topics", topics)].into_iter().chain(next).collect()
    }

    pub(super) fn tag_topic(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let tags = form.map("Tags.member", "Key", "Value");
        self.tagged(form)?.tags.extend(tags);
        Ok(Vec::new())
    }

    pub(super) fn untag_topic(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let keys = form.texts("TagKeys.member");
        self.tagged(form)?.tags.retain(|key, _| !keys.contains(key));
        Ok(Vec::new())
    }

    pub(super) fn list_topic_tags(&mut self, form: &Form) -> Result<Vec<Xml>, ServiceError> {
        let tags = self.tagged(form)?.tags.clone();
        let member = |(key, value)| vec![Xml::text("Key", key), Xml::text("Value", value)];
        Ok(vec![Xml::list("Tags", tags.into_iter().map(member))])
    }

    /// The topic that a tagging action names, which has an error of its own.
    fn tagged(&mut self, form: &Form) -> Result<&mut Topic, ServiceError> {
        let arn = form.required("ResourceArn")?;
        let missing = || ServiceError::new("ResourceNotFound", 404, "Resource does not exist");
        self.sns.topics.get_mut(arn).ok_or_else(missing)
    }
}
