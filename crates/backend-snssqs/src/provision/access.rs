//! A queue's policy, as far as it lets a topic send.

use aws_common::Call;
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use proxy_core::{
    error::{BackendError, ErrorKind},
    operator::{Change, Mode, Report, Step},
};
use serde_json::Value;

use super::Link;
use crate::feed::queue_policy;

impl Link {
    /// Adds the statement that lets the topic send to the queue's policy, where it is missing, and reports that.
    pub(super) async fn provision_access(
        &self,
        sqs: &Client,
        mode: Mode,
        report: Report<'_, Step>,
    ) -> Result<(), BackendError> {
        let name = self.queue_url.rsplit('/').next().unwrap_or_default();
        let found = self.found(sqs, name).await?;
        let wanted = queue_policy(&self.queue_arn, self.topic.arn());
        let (change, policy) = merged(found.as_deref(), &wanted);
        if let Some(policy) = policy.filter(|_| mode == Mode::Apply) {
            let request = sqs.set_queue_attributes().queue_url(&self.queue_url);
            let sent = request.attributes(QueueAttributeName::Policy, policy).send().await;
            sent.map_err(|error| call("sqs:SetQueueAttributes", name).failed(&error))?;
        }
        report(Step::new(change, "queue policy", name));
        Ok(())
    }

    async fn found(&self, sqs: &Client, name: &str) -> Result<Option<String>, BackendError> {
        let request = sqs.get_queue_attributes().queue_url(&self.queue_url);
        let found = request.attribute_names(QueueAttributeName::Policy).send().await;
        match found.map_err(|error| call("sqs:GetQueueAttributes", name).failed(&error)) {
            // in a dry run the queue may not be there yet
            Err(error) if error.kind() == ErrorKind::Config => Ok(None),
            found => Ok(found?.attributes.and_then(|mut all| all.remove(&QueueAttributeName::Policy))),
        }
    }
}

/// What has to be done to a policy so that it has the wanted one's statement, and what it is then. Statements of others stay.
fn merged(found: Option<&str>, wanted: &str) -> (Change, Option<String>) {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    let Some(mut policy) = found.and_then(parse).filter(|policy| policy["Statement"].is_array()) else {
        return (Change::Created, Some(wanted.to_owned()));
    };
    let statement = parse(wanted).map_or(Value::Null, |wanted| wanted["Statement"][0].clone());
    let Some(statements) = policy["Statement"].as_array_mut() else { return (Change::Kept, None) };
    if statements.contains(&statement) {
        return (Change::Kept, None);
    }
    statements.retain(|other| other["Sid"] != statement["Sid"]);
    statements.push(statement);
    (Change::Updated, Some(policy.to_string()))
}

fn call<'name>(permission: &'static str, name: &'name str) -> Call<'name> {
    Call { operation: "provision", permission, target: name, sends: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_of_others_stay() {
        let wanted = queue_policy("arn:aws:sqs:eu-west-1:1:q", "arn:aws:sns:eu-west-1:1:t");
        assert_eq!(merged(None, &wanted), (Change::Created, Some(wanted.clone())));
        assert_eq!(merged(Some(&wanted), &wanted), (Change::Kept, None));
        let other = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Theirs","Effect":"Deny"},{"Sid":"TopicSends","Effect":"Allow"}]}"#;
        let (change, policy) = merged(Some(other), &wanted);
        assert_eq!(change, Change::Updated);
        let policy: Value = serde_json::from_str(&policy.unwrap()).unwrap();
        let wanted: Value = serde_json::from_str(&wanted).unwrap();
        assert_eq!(policy["Statement"].as_array().unwrap().len(), 2);
        assert_eq!(
            (&policy["Statement"][0]["Sid"], &policy["Statement"][1]),
            (&"Theirs".into(), &wanted["Statement"][0])
        );
    }
}
