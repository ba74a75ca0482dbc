//! IAM policies: the documents, and the ARNs in them.

use proxy_core::operator::Policy;
use serde::Serialize;

/// A statement that allows actions on resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<&'static str>,
    resource: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'statements> {
    version: &'static str,
    statement: &'statements [Statement],
}

impl Statement {
    /// Allows these actions on these resources; `sid` says what for, in letters and digits.
    pub fn allow(
        sid: &'static str,
        actions: impl Into<Vec<&'static str>>,
        resources: impl Into<Vec<String>>,
    ) -> Self {
        Self { sid, effect: "Allow", action: actions.into(), resource: resources.into() }
    }
}

/// The policy that allows `principal` what the statements say.
pub fn policy(principal: &'static str, statements: &[Statement]) -> Policy {
    // strings and lists of them: serializing cannot fail
    let document = serde_json::to_string_pretty(&Document { version: "2012-10-17", statement: statements });
    Policy { principal, document: document.unwrap_or_default() }
}

/// The ARN of the queue with this URL: region and account from the URL, the region else as given, `*` for what neither tells.
pub fn queue_arn(url: &str, region: Option<&str>) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = after_scheme.split_once('/').unwrap_or((after_scheme, ""));
    let named = host
        .strip_prefix("sqs.")
        .and_then(|rest| rest.split_once(".amazonaws.com"))
        .map(|(region, _)| region);
    let region = named.or(region).unwrap_or("*");
    let partition = match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let mut path = path.rsplit('/');
    let name = path.next().unwrap_or_default();
    let account = path.next().filter(|account| !account.is_empty()).unwrap_or("*");
    format!("arn:{partition}:sqs:{region}:{account}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_comes_from_the_url() {
        for (url, region, arn) in [
            (
                "https://sqs.eu-west-1.amazonaws.com/123456789012/a.fifo",
                None,
                "arn:aws:sqs:eu-west-1:123456789012:a.fifo",
            ),
            (
                "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/a",
                None,
                "arn:aws-cn:sqs:cn-north-1:123456789012:a",
            ),
            (
                "http://127.0.0.1:4566/000000000000/a",
                Some("us-east-1"),
                "arn:aws:sqs:us-east-1:000000000000:a",
            ),
            ("https://sqs.example.com/a", None, "arn:aws:sqs:*:*:a"),
        ] {
            assert_eq!(queue_arn(url, region), arn);
        }
    }

    #[test]
    fn a_policy_is_a_document_of_iam() {
        // the shape: AWS, "IAM JSON policy elements reference"
        let allowed = Statement::allow("Requests", ["sqs:SendMessage"], ["arn:aws:sqs:*:*:a".to_owned()]);
        let document: serde_json::Value =
            serde_json::from_str(&policy("the proxy", &[allowed]).document).unwrap();
        assert_eq!(
            document,
            serde_json::json!({"Version": "2012-10-17", "Statement": [{
                "Sid": "Requests", "Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": ["arn:aws:sqs:*:*:a"]
            }]})
        );
    }
}
