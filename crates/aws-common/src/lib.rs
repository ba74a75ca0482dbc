//! What the backends over AWS share.
//!
//! Reading order: `attributes` (what travels beside a message), `sender` (out), `polling` (in) with `poller` and `request_poller` (who
//! settles it at a proxy and at a worker), `acknowledger` (deletes), `queue` and `created_queue` (those that we read, and those that we
//! make), `error` (the one mapping of SDK errors), `client`, `settings`. Then what a fleet of workers needs: `request_queues` (all that
//! one reads), `worker_queue` (its own), `sender_pool` (out, to queues that peers name), `owners` (the same at a proxy). `large_payloads`
//! for messages by way of S3; `operator` for what provisioning and the doctor share.

mod acknowledger;
pub mod attributes;
mod backoff;
pub mod client;
mod created_queue;
mod error;
mod large_payloads;
mod neighbourhood;
pub mod operator;
mod owners;
mod poller;
mod polling;
mod queue;
mod redrive;
mod request_poller;
mod request_queues;
mod sender;
mod sender_pool;
pub mod settings;
mod worker_queue;

pub use self::{
    attributes::Envelope,
    backoff::{Backoff, jittered},
    created_queue::{CreatedQueue, Dependents, QueueMaker, QueuePlan},
    error::Call,
    large_payloads::{LargePayloads, LargePayloadsConfig, PayloadReader, Unwrap, offload},
    neighbourhood::neighbourhood,
    owners::Owners,
    poller::{Decode, ForeignPolicy, Poller, PollerSettings},
    polling::{PollHealth, PollSettings},
    queue::{Queue, QueueAttributes, QueuePermission},
    request_poller::DecodeRequest,
    request_queues::{RequestQueues, RequestQueuesPlan},
    sender::{BatchingSender, Destination, Outcomes, QueueDestination},
    sender_pool::{SenderPool, Senders},
};
