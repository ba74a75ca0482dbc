//! What the backends over AWS share.
//!
//! Reading order: `attributes` (what travels beside a message), `sender` (out), `poller` (in), `acknowledger` (deletes), `error` (the
//! one mapping of SDK errors), `client`, `settings`.

mod acknowledger;
pub mod attributes;
mod backoff;
pub mod client;
mod error;
mod poller;
mod sender;
pub mod settings;

pub use self::{
    acknowledger::Acknowledger,
    attributes::{Envelope, ProxyContext, ReplyAddress},
    backoff::{Backoff, jittered},
    error::Call,
    poller::{Decode, ForeignPolicy, PollHealth, Poller, PollerSettings},
    sender::{BatchingSender, Destination, Outcomes, QueueDestination},
};
