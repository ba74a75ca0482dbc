//! What a topic's ARN has to look like.

use aws_common::attributes::is_fifo;
use proxy_core::config::Problem;

use crate::arn::Arn;

/// The longest name of a topic, `.fifo` included (SNS `CreateTopic`, `Name`).
const LONGEST_NAME: usize = 256;

/// What is wrong with the topic ARN under `key`; a FIFO topic is refused where answers come from.
pub(crate) fn problem(key: &str, text: &str, may_be_fifo: bool) -> Option<Problem> {
    let example = format!("write {key} = \"arn:aws:sns:eu-central-1:123456789012:mcp-requests\"");
    if text.is_empty() {
        return Some(Problem::new(key, "is missing", example));
    }
    if text.starts_with("https://") || text.starts_with("http://") {
        return Some(Problem::new(key, "is a URL, where the topic's ARN is wanted", example));
    }
    let Some(arn) = Arn::parse(text) else {
        return Some(Problem::new(key, format!("is {text:?}, which is no ARN"), example));
    };
    if arn.service != "sns" {
        let what = format!("is the ARN of something of {:?}, where a topic's is wanted", arn.service);
        return Some(Problem::new(key, what, example));
    }
    if arn.name.contains(':') {
        let topic = text.rsplit_once(':').map_or(text, |(topic, _)| topic);
        let what = "is the ARN of a subscription, where the topic's is wanted";
        return Some(Problem::new(key, what, format!("write {key} = {topic:?}")));
    }
    let stem = arn.name.strip_suffix(".fifo").unwrap_or(arn.name);
    let is_named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if arn.name.len() > LONGEST_NAME || stem.is_empty() || !stem.bytes().all(is_named) {
        let what = format!("is {text:?}, which does not end in a topic's name");
        return Some(Problem::new(key, what, example));
    }
    (is_fifo(text) && !may_be_fifo).then(|| {
        Problem::new(
            key,
            "is a FIFO topic, to which an asyncmcp server cannot publish: it names no message group",
            "write the ARN of a standard topic",
        )
    })
}
