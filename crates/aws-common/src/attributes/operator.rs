//! Which message attributes an operator may add.

use std::collections::BTreeMap;

use proxy_core::config::Problem;

use super::{is_carried, name};

/// How many of a message's ten attributes are the operator's. The others: the seven of asyncmcp, `ProxyContext` and
/// `ExtendedPayloadSize`.
const OPERATORS_SHARE: usize = 1;

/// What is wrong with the setting `message_attributes`.
pub fn operator_problems(attributes: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if attributes.len() > OPERATORS_SHARE {
        problems.push(Problem::new(
            "message_attributes",
            format!(
                "has {} attributes; AWS takes ten on a message, and the protocol needs nine",
                attributes.len()
            ),
            "write one at most",
        ));
    }
    for (attribute, value) in attributes {
        let key = format!("message_attributes.{attribute}");
        if name::RESERVED.contains(&attribute.as_str()) {
            problems.push(Problem::new(
                &key,
                "is a name that the protocol uses itself",
                "write another name",
            ));
        } else if !is_attribute_name(attribute) {
            problems.push(Problem::new(
                &key,
                "is no name that AWS takes",
                "write at most 256 letters, digits, dashes, underscores and single inner dots, not beginning with AWS. or Amazon.",
            ));
        }
        if !is_carried(value) {
            problems.push(Problem::new(
                &key,
                "has a value that AWS does not take",
                "write text that is not empty and has no control characters",
            ));
        }
    }
    problems
}

/// Whether AWS takes this as an attribute's name (SQS developer guide, message metadata).
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
