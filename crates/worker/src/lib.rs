#![doc = include_str!("../README.md")]
//!
//! To read it: `judge` (whether a request may run), `worker` and the files under it (what becomes of an arrival), `session` (one session's
//! task and its exchanges), `ledger` (what is known of calls), `children` (servers that are started here).

pub mod children;
mod config;
mod courier;
mod hints;
mod judge;
mod ledger;
mod method;
mod metrics;
mod notice;
mod session;
mod sessions;
mod shared;
mod worker;

pub use self::{
    children::{Children, ChildrenParts, ServerConfig},
    config::WorkerConfig,
    ledger::{Begun, CallKey, Entry, EntryState, Ledger, LedgerError, SessionRecord},
    worker::{Worker, WorkerError, WorkerParts},
};
