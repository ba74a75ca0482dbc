//! The worker's end.

mod clients;
mod doctor;
mod harness;
mod policy;
mod provision;
mod proxy;
mod replying;
