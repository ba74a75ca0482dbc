//! The rules of one message: attributes, characters, size.

use super::ranges;
use crate::emulator::error::ServiceError;
use crate::emulator::sqs::message::{Attribute, Attributes, Draft};

/// The most message attributes of a message (AWS, message quotas: 10).
const MOST_ATTRIBUTES: usize = 10;
/// The longest attribute name (AWS, message metadata: 256 characters).
const LONGEST_NAME: usize = 256;

/// The longest message group or deduplication id (AWS, `SendMessage`: 128 characters).
const LONGEST_ID: usize = 128;

/// Checks a message that is about to enter a queue of the given `MaximumMessageSize`.
pub(in crate::emulator) fn check(draft: &Draft, maximum: usize) -> Result<(), ServiceError> {
    check_attributes(draft)?;
    check_body(&draft.message_body)?;
    check_size(draft, maximum)?;
    ranges::check_delay(draft.delay_seconds)
}

/// What FIFO queues alone take, and what they do not.
///
/// AWS, `SendMessage`: a deduplication id is for FIFO queues, a message's own delay for standard ones, a group for both
/// (fair queues); ids have up to 128 letters, digits and punctuation marks.
pub(in crate::emulator) fn check_kind(draft: &Draft, is_fifo: bool) -> Result<(), ServiceError> {
    let invalid = |name: &str, value: &str, reason: &str| {
        let message = format!("Value {value} for parameter {name} is invalid. Reason: {reason}");
        Err(ServiceError::invalid_parameter(message))
    };
    let other_kind = "The request include parameter that is not valid for this queue type.";
    for (name, id) in [
        ("MessageGroupId", &draft.message_group_id),
        ("MessageDeduplicationId", &draft.message_deduplication_id),
    ] {
        let Some(id) = id else { continue };
        if !(1..=LONGEST_ID).contains(&id.len()) || !id.chars().all(|c| c.is_ascii_graphic()) {
            let reason = format!(
                "{name} can only include alphanumeric and punctuation characters. 1 to {LONGEST_ID} in length."
            );
            return invalid(name, id, &reason);
        }
        if name == "MessageDeduplicationId" && !is_fifo {
            return invalid(name, id, other_kind);
        }
    }
    match draft.delay_seconds {
        Some(delay) if is_fifo && delay > 0 => invalid("DelaySeconds", &delay.to_string(), other_kind),
        _ => Ok(()),
    }
}

/// At most 10 attributes, each as it must be.
fn check_attributes(draft: &Draft) -> Result<(), ServiceError> {
    let count = draft.message_attributes.len();
    if count > MOST_ATTRIBUTES {
        return Err(ServiceError::invalid_parameter(format!(
            "Number of message attributes [{count}] exceeds the allowed maximum [{MOST_ATTRIBUTES}]."
        )));
    }
    check_each_attribute(&draft.message_attributes)
}

/// No attribute without a name, a type or a value.
///
/// AWS, "Message attribute components": names are 1 to 256 letters, digits, `_`, `-` and `.`, do not begin
/// with `AWS.` or `Amazon.` and have no period at an end or after another; values are never empty.
pub(in crate::emulator) fn check_each_attribute(attributes: &Attributes) -> Result<(), ServiceError> {
    for (name, attribute) in attributes {
        check_name(name)?;
        check_value(name, attribute)?;
        let value = attribute.string_value.as_deref().unwrap_or_default();
        if let Some(character) = value.chars().find(|c| !is_allowed(*c)) {
            let place = format!("message attribute '{name}'");
            return Err(ServiceError::invalid_parameter(describe(character, &place)));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), ServiceError> {
    let lower = name.to_lowercase();
    let problem = if name.is_empty() {
        "The request must contain non-empty message attribute name."
    } else if name.len() > LONGEST_NAME {
        "Length of message attribute name must be less than 256 bytes."
    } else if !name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)) {
        "Invalid non-alphanumeric character was found in the message attribute name. \
         Can only include alphanumeric characters, hyphens, underscores, or dots."
    } else if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. \
         These strings are reserved for internal use."
    } else if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        "Message attribute name can not start or end with a dot, or have successive dots."
    } else {
        return Ok(());
    };
    Err(ServiceError::invalid_parameter(problem))
}

fn check_value(name: &str, attribute: &Attribute) -> Result<(), ServiceError> {
    let kind = attribute.data_type.split('.').next().unwrap_or_default();
    if kind.is_empty() {
        return Err(ServiceError::invalid_parameter(format!(
            "The message attribute '{name}' must contain non-empty message attribute type."
        )));
    }
    let (value, field) = match kind {
        "String" | "Number" => (&attribute.string_value, "StringValue"),
        "Binary" => (&attribute.binary_value, "BinaryValue"),
        _ => {
            return Err(ServiceError::invalid_parameter(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported \
                 type prefixes is Binary, Number, and String."
            )));
        }
    };
    if value.as_ref().is_none_or(String::is_empty) {
        return Err(ServiceError::invalid_parameter(format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message \
             attribute type '{}' in the field {field}.",
            attribute.data_type
        )));
    }
    if kind == "Number" && value.as_ref().is_some_and(|value| value.parse::<f64>().is_err()) {
        return Err(ServiceError::invalid_parameter(format!(
            "Can't cast the value of message attribute '{name}' to a number."
        )));
    }
    Ok(())
}

/// No control characters but tab, newline and carriage return, and no U+FFFE or U+FFFF.
///
/// AWS, `SendMessage`: bodies and string values are `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD |
/// #x10000 to #x10FFFF`.
fn check_body(body: &str) -> Result<(), ServiceError> {
    if body.is_empty() {
        return Err(ServiceError::missing_parameter("MessageBody"));
    }
    match body.chars().find(|c| !is_allowed(*c)) {
        Some(character) => {
            Err(ServiceError::new("InvalidMessageContents", 400, describe(character, "message body")))
        }
        None => Ok(()),
    }
}

/// Body, attribute names, types and values together, against the queue's `MaximumMessageSize`.
///
/// AWS, message quotas: 1 MiB (1,048,576 bytes) at most, which is also the attribute's default and upper bound.
fn check_size(draft: &Draft, maximum: usize) -> Result<(), ServiceError> {
    if draft.size() <= maximum {
        return Ok(());
    }
    Err(ServiceError::invalid_parameter(format!(
        "One or more parameters are invalid. Reason: Message must be shorter than {maximum} bytes."
    )))
}

fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn describe(character: char, place: &str) -> String {
    format!(
        "Invalid character '#x{:X}' was found in the {place}, the set of allowed characters is #x9 | #xA | #xD | \
         #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        u32::from(character)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str, attributes: &[(&str, &str, &str)]) -> Draft {
        let attributes = attributes.iter().map(|(name, data_type, value)| {
            let attribute = Attribute {
                data_type: (*data_type).into(),
                string_value: Some((*value).into()),
                binary_value: None,
            };
            ((*name).to_owned(), attribute)
        });
        Draft { message_body: body.into(), message_attributes: attributes.collect(), ..Draft::default() }
    }

    fn refusal(draft: &Draft) -> (String, String) {
        let error = check(draft, 1_048_576).unwrap_err();
        assert_eq!(error.status, 400);
        (error.code, error.message)
    }

    #[test]
    fn ten_attributes_pass_and_eleven_do_not() {
        let names: Vec<_> = (0..11).map(|number| format!("n{number}")).collect();
        let attributes: Vec<_> = names.iter().map(|name| (name.as_str(), "String", "x")).collect();
        check(&message("b", &attributes[..10]), 1_048_576).unwrap();
        let (code, sentence) = refusal(&message("b", &attributes));
        assert_eq!(code, "InvalidParameterValue");
        assert_eq!(sentence, "Number of message attributes [11] exceeds the allowed maximum [10].");
    }

    #[test]
    fn attributes_have_names_types_and_values() {
        for attribute in [
            ("", "String", "x"),
            (".a", "String", "x"),
            ("a..b", "String", "x"),
            ("a b", "String", "x"),
            ("AWS.a", "String", "x"),
            ("a", "", "x"),
            ("a", "Text", "x"),
            ("a", "String", ""),
            ("a", "Number", "x"),
            ("a", "Binary", "x"),
            ("a", "String", "x\u{1}"),
            ("a", "String", "x\u{FFFE}"),
        ] {
            assert_eq!(refusal(&message("b", &[attribute])).0, "InvalidParameterValue", "{attribute:?}");
        }
        check(&message("b", &[("a-b_c.d", "String.kind", "x\t\r\n"), ("n", "Number", "1.5")]), 1_048_576)
            .unwrap();
    }

    #[test]
    fn bodies_are_text() {
        assert_eq!(refusal(&message("", &[])).0, "MissingParameter");
        for body in ["\0", "a\u{b}", "\u{1f}", "\u{FFFE}", "\u{FFFF}"] {
            assert_eq!(refusal(&message(body, &[])).0, "InvalidMessageContents", "{body:?}");
        }
        check(&message("\t\n\r \u{7f}\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}", &[]), 1_048_576).unwrap();
    }

    #[test]
    fn attributes_count_for_the_size() {
        let of_size = |size: usize| message(&"x".repeat(size - 8), &[("a", "String", "x")]);
        check(&of_size(1024), 1024).unwrap();
        let error = check(&of_size(1025), 1024).unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
        assert!(error.message.ends_with("Message must be shorter than 1024 bytes."), "{error}");
        check(&of_size(1_048_576), 1_048_576).unwrap();
        assert_eq!(refusal(&of_size(1_048_577)).0, "InvalidParameterValue");
    }
}
