//! The worker's end.

mod doctor;
mod provision;
