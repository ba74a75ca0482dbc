//! What the backends over AWS share.
//!
//! Reading order: `attributes` (what travels beside a message), `sender` (out), `poller` (in), `acknowledger` (deletes), `queue` and
//! `created_queue` (those that we read, and those that we make), `error` (the
//! one mapping of SDK errors), `client`, `settings`; `operator` for what provisioning and the doctor share.

mod acknowledger;
pub mod attributes;
mod backoff;
pub mod client;
mod created_queue;
mod error;
pub mod operator;
mod poller;
mod queue;
mod sender;
pub mod settings;

pub use self::{
    acknowledger::Acknowledger,
    attributes::{Envelope, ProxyContext, ReplyAddress},
    backoff::{Backoff, jittered},
    created_queue::{CreatedQueue, Dependents, QueueMaker, QueuePlan},
    error::Call,
    poller::{Decode, ForeignPolicy, PollHealth, Poller, PollerSettings},
    queue::{Queue, QueueAttributes, QueuePermission},
    sender::{BatchingSender, Destination, Outcomes, QueueDestination},
};
