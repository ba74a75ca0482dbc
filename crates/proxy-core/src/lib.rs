//! The core of the MCP async transport proxy: messages, ids, exchanges, sessions, replay and the contracts.
//!
//! No sockets, no HTTP, no AWS. To read it: `message`, then `backend` and `intake` (the contracts with the transports, seen
//! from either end).

mod address_rules;
pub mod backend;
mod backend_metrics;
mod backoff;
mod client;
pub mod config;
pub mod error;
pub mod id;
pub mod intake;
pub mod lines;
pub mod message;
mod metrics;
pub mod operator;
mod principal;
mod proxy;
mod proxy_context;
mod refusal;
mod reply;
mod router;
mod state;
mod version;

pub use self::{
    address_rules::AddressRules,
    backend_metrics::BackendMetrics,
    backoff::{Backoff, jittered},
    metrics::method_label,
    principal::Principal,
    proxy::{Opened, Proxy},
    proxy_context::{ProxyContext, ReplyAddress},
    refusal::Refusal,
    reply::{EventStream, Media, Pending, Reply, StreamEvent},
    router::Router,
    version::ProtocolVersion,
};
