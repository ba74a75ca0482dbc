//! What the backends over AWS share.
//!
//! Reading order: [`attributes`] (what travels beside a message), [`sender`] (out), [`poller`] (in),
//! [`acknowledger`] (deletes), [`error`] (the one mapping of SDK errors), [`client`], [`metrics`].

pub mod acknowledger;
pub mod attributes;
mod backoff;
pub mod client;
pub mod error;
pub mod metrics;
pub mod poller;
pub mod sender;

pub use self::{
    acknowledger::Acknowledger,
    attributes::{Envelope, ProxyContext, ReplyAddress},
    backoff::{Backoff, jittered},
    error::Call,
    metrics::Metrics,
    poller::{ForeignPolicy, Poller, PollerSettings},
    sender::BatchingSender,
};
