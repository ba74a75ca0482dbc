//! The rules of a batch: its entries, their ids, their size in sum.

use std::collections::HashSet;

use crate::emulator::error::ServiceError;
use crate::emulator::sqs::request::Entry;

/// The most entries of a batch (AWS, message quotas: 10).
const MOST_ENTRIES: usize = 10;
/// The most bytes of all entries together (AWS, `SendMessageBatch`: 1 MiB, whatever the queue's own limit).
const MOST_BYTES: usize = 1_048_576;
/// The longest entry id (AWS, message quotas: 80 characters).
const LONGEST_ID: usize = 80;

/// 1 to 10 entries with distinct ids of letters, digits, `-` and `_`, 80 at most.
pub(in crate::emulator) fn check(entries: &[Entry], kind: &str) -> Result<(), ServiceError> {
    let ids: Vec<_> = entries.iter().map(|entry| entry.id.as_str()).collect();
    check_ids(&ids, kind)
}

/// The same for the ids of any entries; SNS's rules are these too (AWS, `PublishBatch`).
pub(in crate::emulator) fn check_ids(ids: &[&str], kind: &str) -> Result<(), ServiceError> {
    if ids.is_empty() {
        let message = format!("There should be at least one {kind} in the request.");
        return Err(ServiceError::modelled("EmptyBatchRequest", message));
    }
    let count = ids.len();
    if count > MOST_ENTRIES {
        let message =
            format!("Maximum number of entries per request are {MOST_ENTRIES}. You have sent {count}.");
        return Err(ServiceError::modelled("TooManyEntriesInBatchRequest", message));
    }
    let mut seen = HashSet::new();
    for id in ids {
        let is_valid = (1..=LONGEST_ID).contains(&id.len())
            && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !is_valid {
            let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
                           It can be at most 80 letters long.";
            return Err(ServiceError::modelled("InvalidBatchEntryId", message));
        }
        if !seen.insert(id) {
            return Err(ServiceError::modelled("BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
    }
    Ok(())
}

/// 1 MiB in all: bodies and attributes of every entry.
pub(in crate::emulator) fn check_size(entries: &[Entry]) -> Result<(), ServiceError> {
    let size: usize = entries.iter().map(|entry| entry.draft.size()).sum();
    if size <= MOST_BYTES {
        return Ok(());
    }
    let message =
        format!("Batch requests cannot be longer than {MOST_BYTES} bytes. You have sent {size} bytes.");
    Err(ServiceError::modelled("BatchRequestTooLong", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(ids: &[&str], size: usize) -> Vec<Entry> {
        let of_id = |id: &&str| {
            let mut entry = Entry { id: (*id).into(), ..Entry::default() };
            entry.draft.message_body = "x".repeat(size);
            entry
        };
        ids.iter().map(of_id).collect()
    }

    fn refusal(ids: &[&str]) -> String {
        let error = check(&entries(ids, 1), "SendMessageBatchRequestEntry").unwrap_err();
        assert_eq!(error.status, 400);
        error.code
    }

    #[test]
    fn a_batch_has_one_to_ten_entries() {
        let ids = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
        assert_eq!(refusal(&[]), "AWS.SimpleQueueService.EmptyBatchRequest");
        assert_eq!(refusal(&ids), "AWS.SimpleQueueService.TooManyEntriesInBatchRequest");
        check(&entries(&ids[..10], 1), "Entry").unwrap();
    }

    #[test]
    fn ids_are_distinct_and_plain() {
        assert_eq!(refusal(&["a", "a"]), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct");
        for id in ["", "a.b", &"x".repeat(81)] {
            assert_eq!(refusal(&[id]), "AWS.SimpleQueueService.InvalidBatchEntryId");
        }
    }

    #[test]
    fn entries_share_one_limit() {
        check_size(&entries(&["a", "b"], 524_288)).unwrap();
        let error = check_size(&entries(&["a", "b"], 524_289)).unwrap_err();
        assert_eq!(error.code, "AWS.SimpleQueueService.BatchRequestTooLong");
        assert!(error.message.ends_with("You have sent 1048578 bytes."), "{error}");
    }
}
