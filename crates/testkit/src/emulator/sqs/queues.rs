//! The actions on queues: create, delete, find, attributes, tags.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::arn;
use crate::emulator::account::State;
use crate::emulator::error::ServiceError;
use crate::emulator::sqs::message::unix_millis;
use crate::emulator::sqs::queue::Queue;
use crate::emulator::sqs::request::Request;
use crate::emulator::sqs::rules::{names, tag_rate};
use crate::emulator::sqs::settings::{Settings, check_requested};

impl State {
    /// Creates a queue, or finds the one of that name if its attributes are the same, and its tags where any
    /// are named (AWS does so without documenting it: awslabs/amazon-sqs-java-temporary-queues-client, pull request 70).
    pub(in crate::emulator) fn create_queue(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        let name = request.queue_name()?;
        names::check(name, &request.attributes)?;
        if let Some(queue) = self.queues.get(name) {
            if let Some(attribute) = queue.settings.difference(&request.attributes) {
                return Err(ServiceError::queue_exists(attribute));
            }
            if !request.tags.is_empty() && queue.tags != request.tags {
                return Err(ServiceError::queue_exists("tags"));
            }
            return Ok(json!({ "QueueUrl": self.url(name) }));
        }
        names::check_not_deleted_recently(&mut self.deleted, now, name)?;
        let mut settings = Settings::default();
        settings.change(&request.attributes)?;
        self.check_dead_letter_queue(&settings, &request.attributes)?;
        self.queues.insert(name.to_owned(), Queue::new(name.to_owned(), settings, request.tags.clone()));
        Ok(json!({ "QueueUrl": self.url(name) }))
    }

    /// Deletes a queue and wakes those who wait on it.
    pub(in crate::emulator) fn delete_queue(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        let queue = self.queues.remove(request.queue()?).ok_or_else(ServiceError::no_such_queue)?;
        queue.changed.notify_waiters();
        self.deleted.insert(queue.name, now);
        Ok(json!({}))
    }

    pub(in crate::emulator) fn get_queue_url(&self, request: &Request) -> Result<Value, ServiceError> {
        let name = request.queue_name()?;
        let known = self.queues.contains_key(name);
        if known { Ok(json!({ "QueueUrl": self.url(name) })) } else { Err(ServiceError::no_such_queue()) }
    }

    /// Lists queues by prefix.
    pub(in crate::emulator) fn list_queues(&self, request: &Request) -> Value {
        let prefix = request.queue_name_prefix.as_deref().unwrap_or_default();
        self.page(request, "QueueUrls", |queue| queue.name.starts_with(prefix))
    }

    /// Lists the queues that have this one as their dead-letter queue.
    pub(in crate::emulator) fn list_dead_letter_source_queues(
        &mut self,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        let name = self.queue(request)?.name.clone();
        let is_source =
            |queue: &Queue| queue.settings.redrive().is_some_and(|policy| policy.target() == name);
        Ok(self.page(request, "queueUrls", is_source))
    }

    /// A page of queues; it ends with the name that the next one begins after.
    fn page(&self, request: &Request, member: &str, is_listed: impl Fn(&Queue) -> bool) -> Value {
        let after = request.next_token.as_deref().unwrap_or_default();
        let limit = request.max_results.unwrap_or(1000).clamp(1, 1000);
        let queues = self.queues.values().filter(|queue| queue.name.as_str() > after && is_listed(queue));
        let mut names = queues.map(|queue| &queue.name);
        let page: Vec<_> = names.by_ref().take(limit).collect();
        let urls: Vec<_> = page.iter().map(|name| self.url(name)).collect();
        match (names.next(), page.last()) {
            (Some(_), Some(last)) if request.max_results.is_some() => {
                json!({ member: urls, "NextToken": last })
            }
            _ => json!({ member: urls }),
        }
    }

    pub(in crate::emulator) fn get_queue_attributes(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        let queue = self.queue(request)?;
        let wanted = &request.attribute_names;
        for name in wanted {
            check_requested(name)?;
        }
        let depth = queue.depth(now);
        let mut all = queue.settings.all();
        all.extend([
            ("ApproximateNumberOfMessages".into(), depth.visible.to_string()),
            ("ApproximateNumberOfMessagesDelayed".into(), depth.delayed.to_string()),
            ("ApproximateNumberOfMessagesNotVisible".into(), depth.in_flight.to_string()),
            ("CreatedTimestamp".into(), queue.created.to_string()),
            ("LastModifiedTimestamp".into(), queue.modified.to_string()),
            ("QueueArn".into(), arn(&queue.name)),
        ]);
        let is_wanted = |name: &String| wanted.iter().any(|wanted| wanted == "All" || wanted == name);
        let values: Map<_, _> = all
            .into_iter()
            .filter(|(name, _)| is_wanted(name))
            .map(|(name, value)| (name, value.into()))
            .collect();
        Ok(if values.is_empty() { json!({}) } else { json!({ "Attributes": values }) })
    }

    pub(in crate::emulator) fn set_queue_attributes(
        &mut self,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        let mut settings = self.queue(request)?.settings.clone();
        let is_fifo = settings.is_fifo();
        settings.change(&request.attributes)?;
        if settings.is_fifo() != is_fifo {
            return Err(ServiceError::new("InvalidAttributeName", 400, "Unknown Attribute FifoQueue."));
        }
        self.check_dead_letter_queue(&settings, &request.attributes)?;
        let queue = self.queue(request)?;
        queue.settings = settings;
        queue.modified = unix_millis() / 1000;
        queue.changed.notify_waiters();
        Ok(json!({}))
    }

    pub(in crate::emulator) fn tag_queue(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        tag_rate::admit(&mut self.tag_calls, now)?;
        self.queue(request)?.tags.extend(request.tags.clone());
        Ok(json!({}))
    }

    pub(in crate::emulator) fn untag_queue(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        tag_rate::admit(&mut self.tag_calls, now)?;
        self.queue(request)?.tags.retain(|key, _| !request.tag_keys.contains(key));
        Ok(json!({}))
    }

    pub(in crate::emulator) fn list_queue_tags(&mut self, request: &Request) -> Result<Value, ServiceError> {
        let tags = &self.queue(request)?.tags;
        Ok(if tags.is_empty() { json!({}) } else { json!({ "Tags": tags }) })
    }

    /// A dead-letter queue that is set must be there, and FIFO if its source is (AWS, "Using dead-letter queues").
    fn check_dead_letter_queue(
        &self,
        settings: &Settings,
        changes: &BTreeMap<String, String>,
    ) -> Result<(), ServiceError> {
        let (Some(value), Some(policy)) = (changes.get("RedrivePolicy"), settings.redrive()) else {
            return Ok(());
        };
        let reason = match self.queues.get(policy.target()) {
            None => "Dead letter target does not exist.",
            Some(target) if target.is_fifo() != settings.is_fifo() => {
                "Dead-letter queue must be same type of queue as the source."
            }
            Some(_) => return Ok(()),
        };
        Err(ServiceError::invalid_parameter(format!(
            "Value {value} for parameter RedrivePolicy is invalid. Reason: {reason}"
        )))
    }
}
