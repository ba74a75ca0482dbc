//! The rules that AWS documents and emulators forget, each with the error that AWS answers with.
//!
//! Limits are those of "Amazon SQS quotas" and of the API reference, as of 2026.

pub(in crate::emulator) mod batch;
pub(in crate::emulator) mod message;
pub(in crate::emulator) mod names;
pub(in crate::emulator) mod ranges;
pub(in crate::emulator) mod tag_rate;
