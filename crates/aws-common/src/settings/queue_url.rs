//! What a queue's URL has to look like.

use proxy_core::config::Problem;

use crate::attributes::is_fifo;

/// The longest name of a queue, `.fifo` included (SQS `CreateQueue`, `QueueName`).
const LONGEST_NAME: usize = 80;

/// Which queues a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// Standard queues only.
    Standard,
    /// FIFO queues too.
    Any,
}

/// What is wrong with the queue URL under `key`.
pub fn queue_url_problem(key: &str, url: &str, kind: QueueKind) -> Option<Problem> {
    let example = format!("write {key} = \"https://sqs.eu-central-1.amazonaws.com/123456789012/requests\"");
    if url.is_empty() {
        return Some(Problem::new(key, "is missing", example));
    }
    if let Some(url_of_arn) = url_of_arn(url) {
        return Some(Problem::new(
            key,
            "is an ARN, where the queue's URL is wanted",
            format!("write {key} = {url_of_arn:?}"),
        ));
    }
    if has_credentials(url) {
        return Some(Problem::new(
            key,
            "has credentials in it, which would end up in logs and at the server",
            "write it without; credentials come from the environment or the profile, as in every AWS program",
        ));
    }
    let Some((_, path)) = after_scheme(url).and_then(|rest| rest.split_once('/')) else {
        return Some(Problem::new(key, format!("is {url:?}, which is no queue URL"), example));
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.strip_suffix(".fifo");
    if kind == QueueKind::Standard && stem.is_some_and(is_name_part) {
        return Some(Problem::new(
            key,
            "is a FIFO queue, where a standard queue is wanted",
            "write the URL of a standard queue",
        ));
    }
    if name.len() > LONGEST_NAME || stem.unwrap_or(name).is_empty() || !is_name_part(stem.unwrap_or(name)) {
        return Some(Problem::new(key, format!("is {url:?}, which does not end in a queue's name"), example));
    }
    None
}

/// What is wrong with `dead_letter_queue_url`, where requests come by the queue at `queue_url`.
pub fn dead_letter_problem(url: &str, queue_url: &str) -> Option<Problem> {
    const KEY: &str = "dead_letter_queue_url";
    if let Some(problem) = queue_url_problem(KEY, url, QueueKind::Any) {
        return Some(problem);
    }
    if url == queue_url {
        let what = "is the queue_url, so a request that cannot be done would come again for ever";
        return Some(Problem::new(KEY, what, "write the URL of a queue of its own"));
    }
    // AWS, "Using dead-letter queues in Amazon SQS": of a FIFO queue it must be one, too
    (is_fifo(url) != is_fifo(queue_url)).then(|| {
        let what = "is of another kind than queue_url: a FIFO queue has a FIFO dead-letter queue, a standard one a standard one";
        Problem::new(KEY, what, "write the URL of a queue of the same kind")
    })
}

/// What is wrong with the address of a service under `key`.
pub fn endpoint_problem(key: &str, url: &str) -> Option<Problem> {
    let example = format!("write scheme, host and port: {key} = \"http://127.0.0.1:4566\"");
    if has_credentials(url) {
        return Some(Problem::new(
            key,
            "has credentials in it, which would end up in logs",
            "write it without; credentials come from the environment or the profile, as in every AWS program",
        ));
    }
    let host = after_scheme(url).and_then(|rest| rest.split('/').next());
    if host.is_none_or(str::is_empty) || url.contains([' ', '?', '#']) {
        return Some(Problem::new(key, format!("is {url:?}, which is no address of a service"), example));
    }
    None
}

/// Whether these are characters that a queue's name may have (SQS `CreateQueue`, `QueueName`).
pub(super) fn is_name_part(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn after_scheme(url: &str) -> Option<&str> {
    url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))
}

fn has_credentials(url: &str) -> bool {
    after_scheme(url).and_then(|rest| rest.split('/').next()).is_some_and(|host| host.contains('@'))
}

/// The URL of the queue with this ARN (`arn:aws:sqs:REGION:ACCOUNT:NAME`), if it is one.
fn url_of_arn(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        ["arn", partition, "sqs", region, account, name] => {
            let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
            Some(format!("https://sqs.{region}.{domain}/{account}/{name}"))
        }
        _ => None,
    }
}
