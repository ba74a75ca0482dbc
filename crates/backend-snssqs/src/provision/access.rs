//! A queue's policy, as far as it lets a topic send.

use aws_common::Call;
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use proxy_core::{
    error::{BackendError, ErrorKind},
    operator::{Change, Mode, Report, Step},
};
use serde_json::{Map, Value};

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

/// What has to be done to a policy so that it has the wanted one's statement, and what it is then. All other statements stay.
fn merged(found: Option<&str>, wanted: &str) -> (Change, Option<String>) {
    let parse = |text: &str| serde_json::from_str::<Map<String, Value>>(text).ok();
    let Some(mut policy) = found.and_then(parse) else {
        return (Change::Created, Some(wanted.to_owned()));
    };
    let mut statement = parse(wanted).map_or(Value::Null, |wanted| wanted["Statement"][0].clone());
    // one statement may stand without brackets (IAM, "Grammar of the IAM JSON policy language")
    let mut statements = match policy.remove("Statement") {
        Some(Value::Array(many)) => many,
        one => one.into_iter().collect(),
    };
    if statements.iter().any(|other| meaning(other) == meaning(&statement)) {
        return (Change::Kept, None);
    }
    // a Sid is unique, and this one may be that of another topic
    if let Some(parts) =
        statement.as_object_mut().filter(|parts| statements.iter().any(|other| other["Sid"] == parts["Sid"]))
    {
        parts.remove("Sid");
    }
    statements.push(statement);
    policy.insert("Statement".to_owned(), statements.into());
    (Change::Updated, Some(Value::from(policy).to_string()))
}

/// A statement without what does not count: its name, brackets around one value, and the case of actions.
fn meaning(statement: &Value) -> Value {
    let mut bare = unbracketed(statement);
    if let Some(parts) = bare.as_object_mut() {
        parts.remove("Sid");
        if let Some(Value::String(action)) = parts.get_mut("Action") {
            action.make_ascii_lowercase();
        }
    }
    bare
}

fn unbracketed(value: &Value) -> Value {
    match value {
        Value::Array(values) if values.len() == 1 => unbracketed(&values[0]),
        Value::Object(parts) => parts.iter().map(|(key, part)| (key.clone(), unbracketed(part))).collect(),
        other => other.clone(),
    }
}

fn call<'name>(permission: &'static str, name: &'name str) -> Call<'name> {
    Call { operation: "provision", permission, target: name, sends: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:1:q";

    fn wanted() -> String {
        queue_policy(QUEUE, "arn:aws:sns:eu-west-1:1:t")
    }

    fn statements(policy: &str) -> Vec<Value> {
        serde_json::from_str::<Value>(policy).unwrap()["Statement"].as_array().unwrap().clone()
    }

    #[test]
    fn the_statements_of_others_stay() {
        let wanted = wanted();
        assert_eq!(merged(None, &wanted), (Change::Created, Some(wanted.clone())));
        // as a list, and as the one that IAM takes without brackets
        let theirs = r#"{"Sid":"Theirs","Effect":"Deny"}"#;
        for found in [format!("[{theirs}]"), theirs.to_owned()] {
            let found = format!(r#"{{"Version":"2012-10-17","Statement":{found}}}"#);
            let (change, policy) = merged(Some(&found), &wanted);
            assert_eq!(change, Change::Updated);
            let all = statements(&policy.unwrap());
            assert_eq!((&all[0]["Sid"], &all[1..]), (&"Theirs".into(), &statements(&wanted)[..]), "{found}");
        }
    }

    #[test]
    fn one_queue_may_be_fed_by_two_topics() {
        let wanted = wanted();
        let other = queue_policy(QUEUE, "arn:aws:sns:eu-west-1:1:other");
        let (change, both) = merged(Some(&other), &wanted);
        let both = both.unwrap();
        assert_eq!(change, Change::Updated);
        assert_eq!(statements(&both)[..1], statements(&other)[..]);
        assert_eq!(statements(&both)[1]["Condition"], statements(&wanted)[0]["Condition"]);
        assert_eq!(statements(&both)[1].get("Sid"), None, "a Sid is unique within a policy");
        for wanted in [&wanted, &other] {
            assert_eq!(merged(Some(&both), wanted), (Change::Kept, None));
        }
    }

    #[test]
    fn what_means_the_same_does_as_well() {
        let wanted = wanted();
        assert_eq!(merged(Some(&wanted), &wanted), (Change::Kept, None));
        let found = format!(
            r#"{{"Id":"x","Statement":{{"Condition":{{"ArnEquals":{{"aws:SourceArn":["arn:aws:sns:eu-west-1:1:t"]}}}},
            "Resource":["{QUEUE}"],"Action":["SQS:SendMessage"],"Principal":{{"Service":["sns.amazonaws.com"]}},"Effect":"Allow"}}}}"#
        );
        assert_eq!(merged(Some(&found), &wanted), (Change::Kept, None));
        let denied = found.replace("Allow", "Deny");
        assert_eq!(merged(Some(&denied), &wanted).0, Change::Updated);
    }
}
