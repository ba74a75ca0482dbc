//! What tests set up outside of any request.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::time::Instant;

use super::Account;
use crate::emulator::error::ServiceError;
use crate::emulator::query::Form;
use crate::emulator::sns::topic_arn;
use crate::emulator::sqs::arn;
use crate::emulator::sqs::request::Request;

impl Account {
    pub(in super::super) fn create_queue(
        &self,
        name: &str,
        attributes: &[(&str, &str)],
    ) -> Result<String, ServiceError> {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let request = Request::create_queue(name, attributes.collect());
        self.state().create_queue(Instant::now(), &request)?;
        Ok(self.url(name))
    }

    pub(in super::super) fn create_topic(
        &self,
        name: &str,
        attributes: &[(&str, &str)],
    ) -> Result<String, ServiceError> {
        self.perform_sns("CreateTopic", &form(&[("Name", name)], attributes))?;
        Ok(topic_arn(name))
    }

    pub(in super::super) fn subscribe(
        &self,
        topic_arn: &str,
        queue_url: &str,
        raw: bool,
        filter_policy: Option<&str>,
    ) -> Result<String, ServiceError> {
        let endpoint = queue_arn(queue_url);
        let fields = [("TopicArn", topic_arn), ("Protocol", "sqs"), ("Endpoint", &endpoint)];
        let raw = if raw { "true" } else { "false" };
        let filter = filter_policy.map(|policy| ("FilterPolicy", policy));
        let attributes: Vec<_> = [("RawMessageDelivery", raw)].into_iter().chain(filter).collect();
        self.state().subscribe(&form(&fields, &attributes))
    }

    pub(in super::super) fn let_send(
        &self,
        topic_arns: &[&str],
        queue_url: &str,
    ) -> Result<(), ServiceError> {
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "sns.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": queue_arn(queue_url),
            "Condition": { "ArnEquals": { "aws:SourceArn": topic_arns } },
        }] });
        let name = queue_url.rsplit('/').next().unwrap_or_default();
        let mut state = self.state();
        let queue = state.queues.get_mut(name).ok_or_else(ServiceError::no_such_queue)?;
        queue.settings.change(&BTreeMap::from([("Policy".to_owned(), policy.to_string())]))
    }
}

fn queue_arn(url: &str) -> String {
    arn(url.rsplit('/').next().unwrap_or_default())
}

/// A form with fields and with a map of attributes.
fn form(fields: &[(&str, &str)], attributes: &[(&str, &str)]) -> Form {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let attributes = attributes.iter().enumerate().flat_map(|(number, (name, value))| {
        let of_entry = |part: &str| format!("Attributes.entry.{}.{part}", number + 1);
        [(of_entry("key"), (*name).to_owned()), (of_entry("value"), (*value).to_owned())]
    });
    fields.chain(attributes).collect()
}
