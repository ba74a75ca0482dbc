//! A queue's access policy: whether it lets SNS send for a topic.
//!
//! AWS, "Grammar of the IAM JSON policy language" and "Subscribing an Amazon SQS queue to an Amazon SNS topic". Callers
//! of the account itself are let in by their own policies, which are not here, whatever the queue's says.

use serde_json::Value;

/// Who wants to send: SNS, on behalf of a topic.
#[derive(Debug)]
pub(in crate::emulator) struct Sender<'a> {
    pub(in crate::emulator) source_arn: &'a str,
    pub(in crate::emulator) source_account: &'a str,
}

/// The service that sends.
const PRINCIPAL: &str = "sns.amazonaws.com";

/// Whether a statement allows it and none denies it.
pub(in crate::emulator) fn lets_send(policy: &str, queue_arn: &str, sender: &Sender<'_>) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return false };
    let concerns = |statement: &&Value| {
        is_principal(&statement["Principal"])
            && texts(&statement["Action"])
                .iter()
                .any(|action| like(&action.to_lowercase(), "sqs:sendmessage"))
            && texts(&statement["Resource"]).iter().any(|resource| like(resource, queue_arn))
            && conditions_hold(&statement["Condition"], sender)
    };
    let effects: Vec<_> =
        list(&policy["Statement"]).iter().filter(concerns).map(|statement| &statement["Effect"]).collect();
    effects.iter().any(|effect| *effect == "Allow") && effects.iter().all(|effect| *effect != "Deny")
}

fn is_principal(principal: &Value) -> bool {
    let services = texts(&principal["Service"]);
    principal == "*" || texts(&principal["AWS"]).contains(&"*") || services.contains(&PRINCIPAL)
}

/// Every operator and every key of it must hold; one that is not known here does not.
fn conditions_hold(conditions: &Value, sender: &Sender<'_>) -> bool {
    let operators = conditions.as_object().into_iter().flatten();
    operators
        .flat_map(|(operator, keys)| keys.as_object().into_iter().flatten().map(move |key| (operator, key)))
        .all(|(operator, (key, wanted))| {
            let value = match key.to_lowercase().as_str() {
                "aws:sourcearn" => sender.source_arn,
                "aws:sourceaccount" => sender.source_account,
                "aws:securetransport" | "aws:principalisawsservice" => "true",
                _ => return false,
            };
            let is_any =
                |matches: fn(&str, &str) -> bool| texts(wanted).iter().any(|wanted| matches(wanted, value));
            match operator.as_str() {
                "ArnEquals" | "ArnLike" | "StringLike" => is_any(like),
                "ArnNotEquals" | "ArnNotLike" | "StringNotLike" => !is_any(like),
                "StringEquals" | "Bool" => is_any(|wanted, value| wanted == value),
                "StringNotEquals" => !is_any(|wanted, value| wanted == value),
                _ => false,
            }
        })
}

/// `*` stands for any text and `?` for any character.
fn like(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            like(rest, text) || text.char_indices().any(|(at, c)| like(rest, &text[at + c.len_utf8()..]))
        }
        Some(first) => {
            let mut rest = text.chars();
            let next = rest.next();
            next.is_some_and(|next| first == '?' || first == next)
                && like(&pattern[first.len_utf8()..], rest.as_str())
        }
    }
}

/// One or many: policies leave the brackets away where there is one.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-2:123456789012:MyQueue";
    const TOPIC: &str = "arn:aws:sns:us-east-2:123456789012:MyTopic";

    fn is_let(policy: &Value) -> bool {
        let sender = Sender { source_arn: TOPIC, source_account: "123456789012" };
        lets_send(&policy.to_string(), QUEUE, &sender)
    }

    /// The policy of AWS, "Subscribing an Amazon SQS queue to an Amazon SNS topic", step 2.
    fn documented() -> Value {
        json!({ "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "sns.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": QUEUE,
            "Condition": { "ArnEquals": { "aws:SourceArn": TOPIC } },
        }] })
    }

    #[test]
    fn the_documented_policy_lets_the_topic_send() {
        assert!(is_let(&documented()));
        assert!(!is_let(&json!({})));
    }

    #[test]
    fn each_part_of_a_statement_counts() {
        for (part, value, expected) in [
            ("Effect", json!("Deny"), false),
            ("Principal", json!("*"), true),
            ("Principal", json!({ "AWS": "arn:aws:iam::123456789012:root" }), false),
            ("Principal", json!({ "Service": ["s3.amazonaws.com", "sns.amazonaws.com"] }), true),
            ("Principal", json!({ "Service": "s3.amazonaws.com" }), false),
            ("Action", json!(["SQS:SendMessage", "sqs:ReceiveMessage"]), true),
            ("Action", json!("sqs:*"), true),
            ("Action", json!("sqs:ReceiveMessage"), false),
            ("Resource", json!("arn:aws:sqs:*:*:My*"), true),
            ("Resource", json!("arn:aws:sqs:us-east-2:123456789012:Other"), false),
            (
                "Condition",
                json!({ "ArnLike": { "aws:SourceArn": "arn:aws:sns:*:123456789012:My?opic" } }),
                true,
            ),
            ("Condition", json!({ "ArnEquals": { "AWS:SourceArn": [TOPIC, "arn:aws:sns:x:y:z"] } }), true),
            (
                "Condition",
                json!({ "ArnEquals": { "aws:SourceArn": "arn:aws:sns:us-east-2:123456789012:Other" } }),
                false,
            ),
            ("Condition", json!({ "StringEquals": { "aws:SourceAccount": "123456789012" } }), true),
            ("Condition", json!({ "StringEquals": { "aws:SourceAccount": "1" } }), false),
            ("Condition", json!({ "Unknown": { "aws:SourceArn": TOPIC } }), false),
            ("Condition", json!(null), true),
        ] {
            let mut policy = documented();
            policy["Statement"][0][part] = value;
            assert_eq!(is_let(&policy), expected, "{policy}");
        }
    }

    #[test]
    fn a_denial_wins_where_its_condition_holds() {
        let deny = |condition: Value| {
            let mut policy = documented();
            policy["Statement"].as_array_mut().unwrap().push(json!({
                "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE, "Condition": condition,
            }));
            policy
        };
        assert!(is_let(&deny(json!({ "Bool": { "aws:SecureTransport": "false" } }))));
        assert!(!is_let(&deny(json!({ "StringNotEquals": { "aws:SourceAccount": "1" } }))));
    }
}
