//! The rules of queue names.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::emulator::error::ServiceError;

/// The longest name (AWS, queue quotas: 80 characters, the `.fifo` of a FIFO queue included).
const LONGEST_NAME: usize = 80;
/// How long the name of a deleted queue cannot be used (AWS, `DeleteQueue`: 60 seconds).
const BLOCKED: Duration = Duration::from_mins(1);

/// 1 to 80 letters, digits, `-` and `_`; `.fifo` at the end if, and only if, the queue is FIFO.
pub(in crate::emulator) fn check(
    name: &str,
    attributes: &BTreeMap<String, String>,
) -> Result<(), ServiceError> {
    let wants_fifo = attributes.get("FifoQueue").is_some_and(|value| value == "true");
    let stem = name.strip_suffix(".fifo").filter(|_| wants_fifo);
    let plain = stem.unwrap_or(name);
    if wants_fifo && stem.is_none() {
        return Err(ServiceError::invalid_parameter("The fifo queue name should end with .fifo"));
    }
    let is_valid = !plain.is_empty()
        && name.len() <= LONGEST_NAME
        && plain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_valid {
        return Ok(());
    }
    Err(ServiceError::invalid_parameter(
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
    ))
}

/// A deleted queue's name is blocked for 60 s.
pub(in crate::emulator) fn check_not_deleted_recently(
    deleted: &mut HashMap<String, Instant>,
    now: Instant,
    name: &str,
) -> Result<(), ServiceError> {
    deleted.retain(|_, at| now.duration_since(*at) < BLOCKED);
    if !deleted.contains_key(name) {
        return Ok(());
    }
    let message =
        "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
    Err(ServiceError::modelled("QueueDeletedRecently", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let fifo = BTreeMap::from([("FifoQueue".to_owned(), "true".to_owned())]);
        check("a-b_C9", &BTreeMap::new()).unwrap();
        check("a.fifo", &fifo).unwrap();
        for (name, attributes) in [
            ("", &BTreeMap::new()),
            ("a b", &BTreeMap::new()),
            ("a.fifo", &BTreeMap::new()),
            (".fifo", &fifo),
            ("a", &fifo),
            ("x".repeat(81).as_str(), &BTreeMap::new()),
        ] {
            let error = check(name, attributes).unwrap_err();
            assert_eq!((error.code.as_str(), error.status), ("InvalidParameterValue", 400), "{name:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_name_is_blocked_for_a_minute() {
        let mut deleted = HashMap::from([("a".to_owned(), Instant::now())]);
        tokio::time::advance(Duration::from_millis(59_999)).await;
        let error = check_not_deleted_recently(&mut deleted, Instant::now(), "a").unwrap_err();
        assert_eq!((error.code.as_str(), error.status), ("AWS.SimpleQueueService.QueueDeletedRecently", 400));
        check_not_deleted_recently(&mut deleted, Instant::now(), "b").unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        check_not_deleted_recently(&mut deleted, Instant::now(), "a").unwrap();
    }
}
