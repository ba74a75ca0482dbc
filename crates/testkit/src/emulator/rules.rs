//! The rules that AWS documents and emulators forget, each with the error that AWS answers with.
//!
//! Limits are those of "Amazon SQS quotas" and of the API reference, as of 2026.

pub(super) mod batch;
pub(super) mod message;
pub(super) mod names;
pub(super) mod ranges;
pub(super) mod tag_rate;
