//! The lines about queues: whether they are there, and whether their topics may send to them.

use aws_common::{
    Queue, QueueAttributes,
    operator::{dead_letters, failed, is_there},
};
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    error::ErrorKind,
    operator::{Check, Report},
};
use serde_json::Value;

use crate::{SnsSqsConfig, backend::NAME};

/// The lines about the server's queue, which may be the server's alone to look at.
pub(super) async fn of_server(config: &SnsSqsConfig, client: &Client, report: Report<'_, Check>) {
    let metrics = BackendMetrics::new(NAME, &mut Registry::default());
    let queue = Queue::new(client, &config.server_queue_url(), "server's queue", &metrics);
    let found = match queue.attributes("start", [QueueAttributeName::All]).await {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::Denied || config.server_queue_name.is_none() => {
            let why = format!("{error}; set server_queue_name if it is called otherwise");
            return report(Check::skipped(queue.name(), why));
        }
        Err(error) => return report(failed(queue.name(), &error)),
    };
    report(is_there(&queue, Ok(&found)));
    report(lets_send(&queue, &found, &config.sns_topic_arn));
    report(dead_letters("server's queue", &found));
}

/// Whether the queue's policy lets the topic send. Conditions other than on the topic's ARN are not judged.
pub(crate) fn lets_send(queue: &Queue, found: &QueueAttributes, topic_arn: &str) -> Check {
    let subject = format!("policy of {}", queue.name());
    let policy = found.get(&QueueAttributeName::Policy).and_then(|text| serde_json::from_str(text).ok());
    if policy.is_some_and(|policy: Value| allows(&policy, topic_arn)) {
        Check::good(subject, format!("lets {topic_arn} send"))
    } else {
        Check::failed(
            subject,
            format!("does not let {topic_arn} send, so its messages are lost"),
            "allow sns.amazonaws.com sqs:SendMessage where aws:SourceArn is the topic: `provision` does",
        )
    }
}

fn allows(policy: &Value, topic_arn: &str) -> bool {
    let one_or_many = |value: &Value| match value {
        Value::Array(many) => many.clone(),
        one => vec![one.clone()],
    };
    let is_for_sns = |principal: &Value| {
        let named =
            |value: &Value| one_or_many(value).iter().any(|name| name == "*" || name == "sns.amazonaws.com");
        named(principal) || named(&principal["Service"]) || named(&principal["AWS"])
    };
    let sends = |action: &Value| {
        let action = action.as_str().unwrap_or_default().to_ascii_lowercase();
        matches!(&*action, "*" | "sqs:*" | "sqs:send*" | "sqs:sendmessage")
    };
    let covers = |condition: &Value| {
        let of_operators = condition.as_object().into_iter().flat_map(|operators| operators.values());
        let keys = of_operators.filter_map(Value::as_object).flatten();
        let mut arns = keys.filter(|(key, _)| key.eq_ignore_ascii_case("aws:SourceArn"));
        arns.all(|(_, arns)| {
            one_or_many(arns).iter().filter_map(Value::as_str).any(|arn| is_like(arn, topic_arn))
        })
    };
    one_or_many(&policy["Statement"]).iter().any(|statement| {
        statement["Effect"] == "Allow"
            && is_for_sns(&statement["Principal"])
            && one_or_many(&statement["Action"]).iter().any(sends)
            && covers(&statement["Condition"])
    })
}

/// Whether a pattern of IAM stands for the text: `*` for anything, `?` for any character.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut left = text.chars();
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            is_like(rest, text) || left.next().is_some() && is_like(pattern, left.as_str())
        }
        Some(first) => {
            let met = left.next().is_some_and(|character| first == '?' || first == character);
            met && is_like(&pattern[first.len_utf8()..], left.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::queue_policy;

    #[test]
    fn a_policy_lets_the_topic_send_that_it_names() {
        let topic = "arn:aws:sns:eu-west-1:1:t";
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert!(allows(&parse(&queue_policy("q", topic)), topic));
        for other in ["arn:aws:sns:eu-west-1:1:other", "arn:aws:sns:eu-west-1:1:tt", "arn:aws:sns:*:1:t?"] {
            assert!(!allows(&parse(&queue_policy("q", other)), topic), "{other}");
        }
        let older = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":["SQS:SendMessage"],"Resource":"q",
            "Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:eu-west-1:1:*"}}}}"#;
        assert!(allows(&parse(older), topic));
        assert!(!allows(&parse(&older.replace("Allow", "Deny")), topic));
        assert!(!allows(&parse(&older.replace("SendMessage", "ReceiveMessage")), topic));
    }
}
