//! Which message attribute an operator may add.

use std::collections::BTreeMap;

use proxy_core::config::Problem;

/// How many of the ten attributes of an SQS message are the operator's. The others: the seven of asyncmcp, `ProxyContext` and
/// `ExtendedPayloadSize`.
const OPERATORS_SHARE: usize = 1;

/// The names that the protocol uses itself, and the older name of `ExtendedPayloadSize`.
const RESERVED: [&str; 10] = [
    "MessageType",
    "Timestamp",
    "RequestId",
    "Method",
    "SessionId",
    "ClientId",
    "ProtocolVersion",
    "ProxyContext",
    "ExtendedPayloadSize",
    "SQSLargePayloadSize",
];

/// What is wrong with the operator's attributes.
pub(super) fn problems(attributes: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if attributes.len() > OPERATORS_SHARE {
        problems.push(Problem::new(
            "message_attributes",
            format!(
                "has {} attributes; SQS takes ten on a message, and the protocol needs nine",
                attributes.len()
            ),
            "write one at most",
        ));
    }
    for (name, value) in attributes {
        let key = format!("message_attributes.{name}");
        if RESERVED.contains(&name.as_str()) {
            problems.push(Problem::new(
                &key,
                "is a name that the protocol uses itself",
                "write another name",
            ));
        } else if !is_attribute_name(name) {
            problems.push(Problem::new(
                &key,
                "is no name that SQS takes",
                "write at most 256 letters, digits, dashes, underscores and single inner dots, not beginning with AWS. or Amazon.",
            ));
        }
        if value.is_empty() || value.chars().any(is_refused) {
            problems.push(Problem::new(
                &key,
                "has a value that SQS does not take",
                "write text that is not empty and has no control characters",
            ));
        }
    }
    problems
}

/// SQS `MessageAttributeValue`, rules of names.
fn is_attribute_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    (1..=256).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
}

/// SQS `SendMessage`: only `#x9`, `#xA`, `#xD`, `#x20` to `#xD7FF`, `#xE000` to `#xFFFD` and `#x10000` to `#x10FFFF` are taken.
fn is_refused(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}
